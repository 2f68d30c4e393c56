"""
Handing a record to its agent without a task, when nothing has to be waited for.

Faust puts four tasks around each record that it hands over: the handing over itself, and one each for "the flow is
suspended", "stopped" and "crashed", of which the first to end decides. Nearly always the handing over ends at once,
and making and cancelling the tasks is then all the work there is.
"""

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


class Begun(Awaitable[Any]):
    """A coroutine that was begun and now waits for something; awaiting this goes on from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:  # noqa: ANN401 - as asyncio has it
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Pass on what the coroutine waits for, and to it what came of that, until it returns or raises."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the coroutine's to handle
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as end:
            return end.value


def begin(coroutine: Coroutine[Any, Any, Any]) -> Begun | None:
    """Run a coroutine until it has to wait, in the task of the caller; return what is left of it, None for nothing."""
    try:
        return Begun(coroutine, coroutine.send(None))
    except StopIteration:
        return None
