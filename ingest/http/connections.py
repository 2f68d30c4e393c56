"""
The register of open connections.
"""

import asyncio
from typing import Protocol


class Member(Protocol):
    """A connection, as its register sees it."""

    def drain(self) -> None:
        """End with the next answer, or soon without one."""

    def distrust(self) -> None:
        """Have the address judged again with the next request."""

    def cut(self) -> None:
        """End at once."""

    def sweep(self, now: float) -> None:
        """Enforce the limits in time."""


class Connections:
    """The open connections of one process; `most` are served."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Member] = set()
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Member) -> bool:
        """Take a connection in; returns whether it may be served."""
        self._open.add(connection)
        return len(self._open) <= self._most

    def remove(self, connection: Member) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        if not self._open:
            self._emptied.set()

    def drain(self) -> None:
        """Let every connection end with its next answer, or soon without one."""
        for connection in self._open:
            connection.drain()

    def distrust(self) -> None:
        """Have every address judged again."""
        for connection in self._open:
            connection.distrust()

    def sweep(self, now: float) -> None:
        """Enforce the limits in time on every connection."""
        for connection in list(self._open):
            connection.sweep(now)

    async def wait_until_empty(self, timeout_seconds: float) -> None:
        """Return when no connection is left; after the timeout, the remaining ones are cut."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._open:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for connection in list(self._open):
                connection.cut()
