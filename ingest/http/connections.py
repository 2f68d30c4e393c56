"""
The register of open connections: how many there may be, and which one goes when there are more.
"""

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

_LOOKS: Final = 16
"""A place is looked for among so many connections of a kind: a new one must not cost a walk over all."""

_MOST_HELD_BACK: Final = 1024


class Member(Protocol):
    """A connection, as its register sees it; it counts for `share`, an address or a network, unless that is None."""

    share: bytes | None

    @property
    def is_busy(self) -> bool:
        """Whether a callback is under way on it."""

    def drain(self) -> None:
        """End with the next answer, or soon without one."""

    def distrust(self) -> None:
        """Have the address judged again."""

    def cut(self) -> None:
        """End at once."""

    def shed(self) -> None:
        """End at once, in favour of another connection."""

    def sweep(self, now: float) -> None:
        """Enforce the limits in time."""


class _Share:
    """The connections of one address: how many, and those among them that had no callback yet, oldest first."""

    __slots__ = ("count", "new")

    def __init__(self) -> None:
        self.count = 0
        self.new: dict[Member, None] = {}


class Connections:
    """
    The open connections of one process: at most `most`, and at most `most_per_share` of one address.

    A connection too many takes the place of the one that has been silent longest, on which no callback is under way:
    one whose refusal is held back, else one that had no callback yet, else one that had. At the bound of its address it
    takes a place of that address only, and of one that had no callback yet.
    """

    def __init__(self, most: int, most_per_share: int) -> None:
        self._most = most
        self._most_per_share = most_per_share
        self._held_back: OrderedDict[Member, None] = OrderedDict()
        self._new: OrderedDict[Member, None] = OrderedDict()
        self._used: OrderedDict[Member, None] = OrderedDict()
        self._kinds = (self._held_back, self._new, self._used)
        self._shares: dict[bytes, _Share] = {}
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held_back) + len(self._new) + len(self._used)

    def add(self, connection: Member) -> bool:
        """Take a connection in, and shed another one if need be; returns whether there is a place for it."""
        share = self._shares.get(connection.share) if connection.share is not None else None
        if share is not None and share.count >= self._most_per_share and not _shed_of(share.new, self):
            return False
        if len(self) >= self._most and not self.shed():
            return False
        self._new[connection] = None
        if connection.share is not None:
            share = self._shares.setdefault(connection.share, _Share())
            share.count += 1
            share.new[connection] = None
        return True

    def shed(self) -> bool:
        """End the connection that can be missed most; returns False when callbacks are under way on those looked at."""
        return any(_shed_of(kind, self) for kind in self._kinds)

    def use(self, connection: Member) -> None:
        """A callback came on this connection: it is silent no longer than any other."""
        if connection in self._used:
            self._used.move_to_end(connection)
        elif connection in self._new:
            del self._new[connection]
            self._used[connection] = None
            if connection.share is not None:
                self._shares[connection.share].new.pop(connection, None)

    def hold_back(self, connection: Member) -> None:
        """
        The answer of this connection is held back: it is the first to go, and takes no place of its address.

        So a client that guesses secrets keeps no other client of its address out.
        """
        self.remove(connection)
        self._held_back[connection] = None
        connection.share = None
        if len(self._held_back) > _MOST_HELD_BACK:
            _shed_of(self._held_back, self)

    def remove(self, connection: Member) -> None:
        """Forget a connection."""
        for kind in self._kinds:
            if connection in kind:
                del kind[connection]
                self._give_back(connection)
                break
        if not len(self):
            self._emptied.set()

    def drain(self) -> None:
        """Let every connection end with its next answer, or soon without one."""
        for connection in self._all():
            connection.drain()

    def distrust(self) -> None:
        """Have every address judged again."""
        for connection in self._all():
            connection.distrust()

    def sweep(self, now: float) -> None:
        """Enforce the limits in time on every connection."""
        for connection in self._all():
            connection.sweep(now)

    async def wait_until_empty(self, timeout_seconds: float) -> None:
        """Return when no connection is left; after the timeout, the remaining ones are cut."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while len(self):
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for connection in self._all():
                connection.cut()

    def _all(self) -> list[Member]:
        return [connection for kind in self._kinds for connection in kind]

    def _give_back(self, connection: Member) -> None:
        """Take a connection off the count of its address."""
        share = self._shares.get(connection.share) if connection.share is not None else None
        if share is None:
            return
        share.new.pop(connection, None)
        share.count -= 1
        if not share.count and connection.share is not None:
            del self._shares[connection.share]


def _shed_of(kind: dict[Member, None], connections: Connections) -> bool:
    """End the most silent connection of a kind, and have busy ones go to its end; returns whether there was one."""
    for _ in range(min(len(kind), _LOOKS)):
        connection = next(iter(kind))
        if not connection.is_busy:
            connections.remove(connection)
            connection.shed()
            return True
        del kind[connection]
        kind[connection] = None
    return False
