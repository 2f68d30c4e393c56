"""
Posts callbacks as Routee does: at a rate, over a bounded number of connections, and again after anything but a 200.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.emulator.connection import Connection, Target
from sandbox.emulator.errors import UnreachableError
from sandbox.emulator.ledger import Ledger
from sandbox.emulator.retries import ANSWER_SECONDS, RetrySchedule
from sandbox.emulator.traffic.model import Callback

OK: Final = 200
_CATCH_UP_SECONDS: Final = 0.1
_FLUSH_SECONDS: Final = 0.2
_REACH_TRIES: Final = 5
_REACH_WAIT_SECONDS: Final = 0.5


@dataclass(slots=True)
class Tally:
    """
    Progress so far, in callbacks; `answers` counts attempts by status, `timeout` or `no connection`.

    `swallowed` are those of `accepted` that never reached the URL.
    """

    accepted: int = 0
    swallowed: int = 0
    lost: int = 0
    unanswered: int = 0
    retried: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def arrived(self) -> int:
        """Return how many callbacks the URL has accepted."""
        return self.accepted - self.swallowed

    @property
    def over(self) -> int:
        """Return how many callbacks are over with."""
        return self.accepted + self.lost + self.unanswered


@dataclass(frozen=True, slots=True)
class SendOptions:
    """
    How callbacks are posted: at most `rate` per second over at most `connections` at once.

    `swallow` picks callbacks that are answered 200 on the way and never reach the URL: silent losses, for an audit to
    find or for a backfill to heal. The ledger marks their answers.
    """

    rate: float
    retries: RetrySchedule
    connections: int = 64
    swallow: Callable[[Callback], bool] | None = None


class Sender:
    """One run against one URL. Everything that is over with is in the ledger; the ledger stays open."""

    def __init__(self, target: Target, ledger: Ledger, options: SendOptions) -> None:
        self.tally = Tally()
        self._ledger = ledger
        self._options = options
        self._target = target
        self._stopping = asyncio.Event()
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()

    def stop(self) -> None:
        """Send nothing more; requests in flight are waited for (two seconds at most), retries are given up."""
        self._stopping.set()

    async def send(self, callbacks: Iterator[Callback]) -> None:
        """Post every callback until it is accepted or given up, or `stop` is called."""
        pace = _Pace(self._options.rate)
        async with self._connections(), _regularly(self._ledger.flush), asyncio.TaskGroup() as under_way:
            for callback in callbacks:
                if callback.lost:
                    self._over(callback, [])
                    continue
                await pace.turn()
                connection = await self._idle.get()
                if self._stopping.is_set():
                    break
                under_way.create_task(self._deliver(callback, connection))

    async def _deliver(self, callback: Callback, connection: Connection) -> None:
        answers = [await self._attempt(callback, connection)]
        while answers[-1].get("status") != OK and not self._stopping.is_set():
            wait = self._options.retries.wait(len(answers))
            if wait is None or await self._stopped_within(wait):
                break
            answers.append(await self._attempt(callback, await self._idle.get()))
        self._over(callback, answers)

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._stopping.wait(), seconds)
        return False

    async def _attempt(self, callback: Callback, connection: Connection) -> dict[str, Any]:
        clock = asyncio.get_running_loop().time
        began = clock()
        answer = await self._post(callback, connection)
        self._idle.put_nowait(connection)
        return answer | {"ms": round((clock() - began) * 1000, 1)}

    async def _post(self, callback: Callback, connection: Connection) -> dict[str, Any]:
        if self._options.swallow and self._options.swallow(callback):
            return {"status": OK, "swallowed": True}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return {"status": await connection.post(callback.body)}
        except TimeoutError:
            connection.drop()
            return {"error": "timeout"}
        except OSError:
            connection.drop()
            return {"error": "no connection"}

    def _over(self, callback: Callback, answers: list[dict[str, Any]]) -> None:
        tally = self.tally
        if not answers:
            tally.lost += 1
        elif answers[-1].get("status") == OK:
            tally.accepted += 1
        else:
            tally.unanswered += 1
        tally.swallowed += bool(answers) and "swallowed" in answers[-1]
        tally.retried += len(answers) > 1
        tally.answers.update(str(answer.get("status") or answer["error"]) for answer in answers)
        self._ledger.record(callback, answers)

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[None]:
        pool = [Connection(self._target) for _ in range(self._options.connections)]
        for connection in pool:
            self._idle.put_nowait(connection)
        try:
            yield
        finally:
            for connection in pool:
                connection.drop()


class _Pace:
    """Lets turns pass at a rate. A turn that came late may be caught up, a stop of the server may not."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is time for the next callback."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next + self._gap, now - _CATCH_UP_SECONDS)
        if self._next > now:
            await asyncio.sleep(self._next - now)


@asynccontextmanager
async def _regularly(act: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            act()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()


async def reach(target: Target) -> None:
    """Return once the target accepts a connection; raises UnreachableError after a few tries."""
    for _ in range(_REACH_TRIES):
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                _, writer = await asyncio.open_connection(target.host, target.port)
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            await asyncio.sleep(_REACH_WAIT_SECONDS)
        else:
            writer.close()
            return
    raise UnreachableError(f"nobody answers at {target.address} after {_REACH_TRIES} tries: {reason}")
