"""
Callbacks that never come, and kills of the backfill and of streams: in the end everything is as Routee has it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from sandbox.audit import topics
from sandbox.audit.audit import audit
from sandbox.audit.command import sources_of
from sandbox.audit.errors import SourceError
from sandbox.emulator.command import default_start
from sandbox.emulator.connection import Target
from sandbox.emulator.ledger import Ledger, read_ledger
from sandbox.emulator.losses import Losses
from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.options import APPLICATION_ID, APPLICATION_SECRET, PullOptions
from sandbox.emulator.pull.server import PullApi
from sandbox.emulator.retries import RetrySchedule
from sandbox.emulator.sender import Sender, SendOptions
from sandbox.emulator.traffic.bodies import iso
from sandbox.emulator.traffic.model import Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule
from sandbox.stack import Sandbox
from sandbox.temporary import RULES, temporary_settings
from streams.contract.topics import CAMPAIGN_PROGRESS
from tests.faults.test_kill import lag
from tests.support.wait import eventually, eventually_async

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(420)]

SHARE: Final = 0.05
VICTIMS: Final = ("backfill", "streams")
TELLING_SECONDS: Final = 5.0
"""Without a record of a campaign for so long, the newest state of each was told: the backfill goes by these records."""


class World:
    """An emulated Routee that swallows callbacks and is away for a while, and a sandbox with a watching backfill."""

    def __init__(self, sandbox: Sandbox, books: Books, traffic: TrafficOptions, start: int, ledger: Path) -> None:
        self.sandbox, self.ledger, self.start = sandbox, ledger, start
        self._books, self._traffic = books, traffic
        self._told, self._told_at = 0, 0.0

    async def send(self, outage: tuple[float, float], rate: float, kills: int) -> None:
        """Send all callbacks, and kill the backfill and streams in turn, each after its share of the callbacks."""
        begin, end = (self.start + seconds for seconds in outage)
        swallow = Losses(self._traffic.seed, SHARE, begin, end)
        options = SendOptions(rate, RetrySchedule(0.002), swallow=swallow)
        # Twice made, never kept: each callback holds 8 KB.
        count = sum(1 for _ in schedule(self._traffic, self.start))
        with Ledger(self.ledger) as ledger:
            ledger.open(self._traffic, self.start)
            sender = Sender(Target.parse(self._traffic.callback_url), ledger, options)
            sending = asyncio.create_task(sender.send(self._books.follow(schedule(self._traffic, self.start))))
            for number in range(kills):
                share = (number + 1) / (kills + 1) * count
                await eventually_async(partial(_has_sent, sender, share), deadline=900)
                await self.kill(VICTIMS[number % 2])
            await sending
            assert sender.tally.swallowed > SHARE * count
            ledger.close(complete=True)

    async def kill(self, name: str) -> None:
        """Kill a program, and see it come back."""
        before = self.sandbox.pid(name)
        self.sandbox.kill(name)
        await eventually_async(lambda: self.sandbox.pids().get(name, before) != before, deadline=60)

    async def once(self) -> str:
        """Run a backfill to its end when streams has taken in everything; return what it said in its last line."""
        await asyncio.to_thread(eventually, self._is_taken_in, 120)
        command = ("routee-ingest", "backfill", "--from", iso(self.start))
        await asyncio.to_thread(self.sandbox.run, "once", command, {}, 300)
        return (self.sandbox.logs / "once.log").read_text().splitlines()[-1]

    def _is_taken_in(self) -> bool:
        """Tell whether streams has no lag, and has told all campaigns: it tells each once a second at most."""
        with suppress(SourceError):  # it was killed, and is not back yet
            told = sum(1 for _ in topics.records(self.sandbox.addresses.kafka, CAMPAIGN_PROGRESS.name("routee.")))
            if told != self._told:
                self._told, self._told_at = told, time.monotonic()
            return lag(self.sandbox) == 0 and time.monotonic() - self._told_at > TELLING_SECONDS
        return False

    async def heal(self) -> None:
        """Run backfills until one finds nothing more: a campaign shows what it lacks when its SMS are there."""
        said = [await self.once()]
        while "healed: none; 0 reports" not in said[-1]:
            assert len(said) < 4, said
            said.append(await self.once())

    def pulled(self) -> int:
        """Return how many callbacks and reports of Routee's answers are in Kafka."""
        envelopes = topics.Values(self.sandbox.addresses.kafka, "routee.callbacks.raw")
        return sum(len(envelope["callbacks"]) for envelope in envelopes if envelope.get("source") == "pull")


@asynccontextmanager
async def world(traffic: TrafficOptions, folder: Path) -> AsyncIterator[World]:
    """Give a world that is up. Its books are those of the traffic; one answer of Routee in fifty goes wrong."""
    start = default_start(datetime.now(UTC))
    books = Books(traffic, start)
    routee = PullApi(books, PullOptions(troubles=0.02, slow_seconds=1), traffic.seed)
    await routee.start()
    try:
        os.environ.update(ROUTEE_API_URL=routee.url, ROUTEE_AUTH_URL=routee.url)
        settings = temporary_settings(folder / "sandbox").model_copy(update={"routee_application_id": APPLICATION_ID})
        sandbox = Sandbox(settings)
        await asyncio.to_thread(sandbox.start)
        try:
            aimed = replace(traffic, callback_url=sandbox.addresses.callback_url)
            yield World(sandbox, books, aimed, start, folder / "ledger.ndjson")
        finally:
            await asyncio.to_thread(sandbox.stop)
    finally:
        await routee.close()


@pytest.fixture
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the programs inherit; the addresses are set when they are known."""
    told = {
        "ROUTEE_APPLICATION_SECRET": APPLICATION_SECRET, "ROUTEE_API_URL": "", "ROUTEE_AUTH_URL": "",
        "BACKFILL_REQUESTS_PER_SECOND": "100", "BACKFILL_GRACE_SECONDS": "0",
    }  # fmt: skip
    for name, value in (RULES | told).items():
        monkeypatch.setenv(name, value)


def _has_sent(sender: Sender, callbacks: float) -> bool:
    return sender.tally.over >= callbacks


def mixed(campaigns: int, recipients: int, singles: int) -> TrafficOptions:
    """Return traffic of both strategies, a fifth of it multipart."""
    both = (Strategy.ON_CHANGE, Strategy.ON_COMPLETION)
    return TrafficOptions(33, "", campaigns, recipients, singles, both, multipart=0.2)


@pytest.mark.usefixtures("_surroundings")
@pytest.mark.parametrize(
    ("traffic", "outage", "rate", "kills"),
    [
        pytest.param(mixed(3, 100, 40), (40, 50), 200, 2, id="500-sms"),
        pytest.param(
            mixed(120, 590, 1_200), (600, 1_200), 500, 20, id="100,000-sms",
            marks=[pytest.mark.full, pytest.mark.timeout(3_600)],
        ),
    ],
)  # fmt: skip
async def test_after_losses_an_outage_and_kills_every_value_is_the_truth(
    tmp_path: Path, traffic: TrafficOptions, outage: tuple[float, float], rate: float, kills: int
) -> None:
    """One callback in twenty is swallowed, and all of an outage. Then another run stores nothing."""
    async with world(traffic, tmp_path) as at:
        await at.send(outage, rate, kills)
        await at.heal()
        oracle = read_ledger(at.ledger, backfilled=True, watched=True)
        found = await asyncio.to_thread(
            audit, oracle, sources_of(at.sandbox.settings), quiet_seconds=6, deadline_seconds=300
        )
        assert [str(difference) for difference in found.differences[:10]] == []
        before = at.pulled()
        assert before == found.pulled > 0
        assert "healed: none; 0 reports" in await at.once()
        assert at.pulled() == before
