"""
Delivering a record to its agent without a task, when the delivery need not wait.

Faust wraps each delivery in four tasks: the delivery itself, and one each for "the flow is suspended", "stopped" and
"crashed"; the first to end decides. Nearly always the delivery ends at once, and making and cancelling the tasks costs
more than the delivery.
"""

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


class Begun(Awaitable[Any]):
    """A coroutine that was started and now waits; awaiting this object continues it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:  # noqa: ANN401 - as asyncio has it
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Yield each future of the coroutine and send it the result, until the coroutine returns or raises."""
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
    """Run a coroutine in the caller's task until it must wait; return the rest of it, None when it has ended."""
    try:
        return Begun(coroutine, coroutine.send(None))
    except StopIteration:
        return None
