"""
How long a test's own event loop stood still: on a busy machine that time is not the server's fault.
"""

import asyncio
from typing import Final, Self

_EVERY_SECONDS: Final = 0.01
# Less is the ordinary turn of an event loop.
_NOTICED_SECONDS: Final = 0.05


class Stalls:
    """
    Within the block, sums up how late the event loop was.

    A time measured on this loop, less the growth of `seconds`, is time spent waiting for the other side alone.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._due = 0.0
        self._watching: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        """The sum until now, that of a stall that has just ended included."""
        return self._sum + (self._late() if self._watching else 0.0)

    async def __aenter__(self) -> Self:
        self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Watch the loop that runs."""
        self._due = asyncio.get_running_loop().time() + _EVERY_SECONDS
        self._watching = asyncio.create_task(self._watch())

    def end(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._sum = self.seconds
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._due - loop.time())
            self._sum += self._late()
            self._due = loop.time() + _EVERY_SECONDS

    def _late(self) -> float:
        late = asyncio.get_running_loop().time() - self._due
        return late if late > _NOTICED_SECONDS else 0.0
