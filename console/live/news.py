"""
News for viewers: a tick several times a second, and one message for all who look at the same thing.

An id is `EPOCH-TICK`. The epoch tells one run of the console from another: after a restart a viewer is told everything.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from console.live.picture import Picture
from console.live.watch import Ask, Watch
from console.records import Campaign

TICK_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 4.0
"""Below the ten seconds after which a page says that it is late, and below the patience of every proxy."""
RETRY_MS: Final = 2_000
_MOST_TOLD: Final = 500
_OF_A_PAGE: Final = 100

Tell = Callable[[Campaign], dict[str, object]]
Still = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Subject:
    """The things that a page is about, and so is told of. Alarms are told to all."""

    campaigns: bool = False
    """All of them."""
    campaign: str = ""
    message: str = ""
    routes: bool = False


ALL_CAMPAIGNS: Final = Subject(campaigns=True)


class News:
    """
    The news of a picture.

    `tell` puts a campaign into the words of the pages; `ask` asks streams for a message; `still` says since when the
    picture stands still, empty while it does not.
    """

    def __init__(self, picture: Picture, tell: Tell, ask: Ask, still: Still = lambda: "") -> None:
        self._picture = picture
        self._tell = tell
        self._still = still
        self._watch = Watch(ask, self._message_changed)
        self._messages_changed: dict[str, int] = {}
        """The tick of the last change of each message that is watched."""
        self.epoch = secrets.token_hex(4)
        self.viewers = 0
        self._ticked = asyncio.Event()
        self._told: dict[str, tuple[Campaign, bytes]] = {}
        self._made: dict[tuple[int, Subject], bytes] = {}
        """The events of this tick, by the tick seen last and the subject: the same for nearly all viewers."""
        self._newest: tuple[float, AbstractSet[str]] = (float("-inf"), frozenset())
        """The running campaigns that a page may show, and the tick at which they were looked for."""
        self._is_over = False

    async def run(self) -> None:
        """Tick until it is cancelled. Without viewers a tick costs nothing."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run())
            while True:
                await asyncio.sleep(TICK_SECONDS)
                self.tick()

    def tick(self) -> None:
        """End a tick: viewers are told what changed in it."""
        self._picture.tick += 1
        self._made.clear()
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()

    def close(self) -> None:
        """End every stream, so that the program can end."""
        self._is_over = True
        self.tick()

    async def stream(self, last: str | None, subject: Subject = ALL_CAMPAIGNS) -> AsyncIterator[bytes]:
        """
        Yield server-sent events for one viewer, from behind the event `last` on.

        Heartbeats are events, too: the page tells from them that its numbers are as new as they can be, or since
        when they stand still.
        """
        self.viewers += 1
        try:
            with self._watch.of(subject.message) if subject.message else nullcontext():
                seen = self.tick_of(last)
                yield f"retry: {RETRY_MS}\n\n".encode()
                quiet = HEARTBEAT_SECONDS  # the first heartbeat at once: the page is live
                while not self._is_over:
                    ticked, now = self._ticked, self._picture.tick - 1
                    if events := self._events(seen, now, subject):
                        yield events
                        quiet = 0.0
                    elif quiet >= HEARTBEAT_SECONDS:
                        yield self._end(now)
                        quiet = 0.0
                    seen = now
                    await ticked.wait()
                    quiet += TICK_SECONDS
        finally:
            self.viewers -= 1

    def _message_changed(self, key: str) -> None:
        self._messages_changed.pop(key, None)  # to the end
        self._messages_changed[key] = self._picture.tick
        while len(self._messages_changed) > _MOST_TOLD:
            del self._messages_changed[next(iter(self._messages_changed))]

    def _events(self, seen: int, now: int, subject: Subject) -> bytes:
        """Return the events of what changed since a tick, with the id of `now`; nothing when nothing did."""
        key = seen, subject
        made = self._made.get(key)
        if made is None:
            found = [*self._campaigns(seen, subject), *self._kinds(seen, subject)]
            made = self._made[key] = b"".join([*found, self._end(now)]) if found else b""
        return made

    def _campaigns(self, seen: int, subject: Subject) -> Iterator[bytes]:
        if not subject.campaigns and not subject.campaign:
            return
        shown = self._of_the_page() if subject.campaigns else {subject.campaign}
        told = 0
        for one in self._picture.changed_since(seen):
            if shown is None or one.campaign_tracking_id in shown or (subject.campaigns and one.is_final):
                yield b"event: campaign\ndata: " + self._words(one) + b"\n\n"
                told += 1
            if told == _MOST_TOLD:  # a page shows fewer; the others are in its next reading
                return

    def _of_the_page(self) -> AbstractSet[str] | None:
        """Return the running campaigns that a page may show, as of the last second; None while it may show all."""
        if len(self._picture.campaigns) <= _OF_A_PAGE:
            return None
        if self._picture.tick - self._newest[0] >= 1 / TICK_SECONDS:
            newest = self._picture.running(datetime.now(UTC))[:_OF_A_PAGE]
            self._newest = self._picture.tick, {one.campaign_tracking_id for one in newest}
        return self._newest[1]

    def _kinds(self, seen: int, subject: Subject) -> Iterator[bytes]:
        picture = self._picture
        kinds = {
            "routes": subject.routes and picture.routes_changed_since(seen),
            "alarms": picture.alarms_changed_since(seen),
            "message": subject.message and self._messages_changed.get(subject.message, 0) > seen,
        }
        for kind, changed in kinds.items():
            if changed:
                yield f"event: {kind}\ndata: {{}}\n\n".encode()

    def _words(self, campaign: Campaign) -> bytes:
        """Return a campaign in words; made once for all viewers."""
        key = campaign.campaign_tracking_id
        known = self._told.get(key)
        if known is None or known[0] is not campaign:
            if len(self._told) > _MOST_TOLD:
                self._told.clear()
            known = self._told[key] = (campaign, orjson.dumps(self._tell(campaign)))
        return known[1]

    def _end(self, tick: int) -> bytes:
        """Return the event that carries the id, which a browser names when it comes back; a heartbeat by itself."""
        told = {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        if still := self._still():
            told["still"] = still
        return f"event: now\ndata: {orjson.dumps(told).decode()}\nid: {self.mark(tick)}\n\n".encode()

    def mark(self, tick: int | None = None) -> str:
        """Return the id of a tick; that of the last one that is over, for a page that is made now."""
        return f"{self.epoch}-{self._picture.tick - 1 if tick is None else tick}"

    def tick_of(self, last: str | None) -> int:
        """Return the tick that a viewer saw last, 0 when it is of another run or none."""
        epoch, _, tick = (last or "").partition("-")
        is_ours = epoch == self.epoch and tick.isascii() and tick.isdecimal() and len(tick) < len(str(1 << 60))
        return min(int(tick), self._picture.tick) if is_ours else 0
