"""
News for viewers: a tick several times a second, and one message for all who look at the same thing.

An id is `EPOCH-TICK`. The epoch tells one run of the console from another: after a restart a viewer is told everything.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

import orjson

from console.live.picture import Picture
from console.records import Campaign

TICK_SECONDS: Final = 0.25
HEARTBEAT_SECONDS: Final = 4.0
"""Below the ten seconds after which a page says that it is late, and below the patience of every proxy."""
RETRY_MS: Final = 2_000
_MOST_TOLD: Final = 500

Tell = Callable[[Campaign], dict[str, object]]


class News:
    """The news of a picture. `tell` puts a campaign into the words of the pages."""

    def __init__(self, picture: Picture, tell: Tell) -> None:
        self._picture = picture
        self._tell = tell
        self.epoch = secrets.token_hex(4)
        self.viewers = 0
        self._ticked = asyncio.Event()
        self._told: dict[str, tuple[Campaign, bytes]] = {}
        self._is_over = False

    async def run(self) -> None:
        """Tick until it is cancelled. Without viewers a tick costs nothing."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """End a tick: viewers are told what changed in it."""
        self._picture.tick += 1
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()

    def close(self) -> None:
        """End every stream, so that the program can end."""
        self._is_over = True
        self.tick()

    async def stream(self, last: str | None, campaign: str | None = None) -> AsyncIterator[bytes]:
        """
        Yield server-sent events for one viewer, from behind the event `last` on; of one campaign if it is named.

        Heartbeats are events, too: the page tells from them that its numbers are as new as they can be.
        """
        self.viewers += 1
        try:
            seen = self._tick_of(last)
            yield f"retry: {RETRY_MS}\n\n".encode()
            quiet = HEARTBEAT_SECONDS  # the first heartbeat at once: the page is live
            while not self._is_over:
                ticked, now = self._ticked, self._picture.tick - 1
                if events := self._events(seen, campaign):
                    yield b"".join(events) + self._end(now)
                    quiet = 0.0
                elif quiet >= HEARTBEAT_SECONDS:
                    yield self._end(now)
                    quiet = 0.0
                seen = now
                await ticked.wait()
                quiet += TICK_SECONDS
        finally:
            self.viewers -= 1

    def _events(self, seen: int, campaign: str | None) -> list[bytes]:
        picture = self._picture
        found = []
        for one in picture.changed_since(seen):
            if campaign in {None, one.campaign_tracking_id}:
                found.append(b"event: campaign\ndata: " + self._words(one) + b"\n\n")
            if len(found) == _MOST_TOLD:  # a page shows fewer; the others are in its next reading
                break
        kinds = {"routes": picture.routes_changed_since(seen), "alarms": picture.alarms_changed_since(seen)}
        found += [f"event: {kind}\ndata: {{}}\n\n".encode() for kind, changed in kinds.items() if changed]
        return found

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
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return f'event: now\ndata: {{"at": "{at}"}}\nid: {self.mark(tick)}\n\n'.encode()

    def mark(self, tick: int | None = None) -> str:
        """Return the id of a tick; that of the last one that is over, for a page that is made now."""
        return f"{self.epoch}-{self._picture.tick - 1 if tick is None else tick}"

    def _tick_of(self, last: str | None) -> int:
        """Return the tick that a viewer saw last, 0 when it is of another run or none."""
        epoch, _, tick = (last or "").partition("-")
        is_ours = epoch == self.epoch and tick.isascii() and tick.isdecimal() and len(tick) < len(str(1 << 60))
        return min(int(tick), self._picture.tick) if is_ours else 0
