"""
Waiting for a fact with a deadline, instead of sleeping and hoping.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


LEAST_PAUSE = 0.02
MOST_PAUSE = 0.25


def eventually(condition: Callable[[], T], deadline: float = 30.0, every: float | None = None) -> T:
    """
    Return what `condition()` returns as soon as that is true.

    AssertionError after `deadline` seconds: raised by the condition itself when it asserts, else naming its last
    value. AssertionErrors before the deadline are waited out; other exceptions pass through at once. Without `every`,
    the seconds between two looks grow with the wait: looks cost time that the programs under test need.
    """
    began = time.monotonic()
    end = began + deadline
    while True:
        try:
            value = condition()
        except AssertionError:
            if time.monotonic() > end:
                raise
        else:
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(_late(condition, deadline, value))
        time.sleep(_pause(began) if every is None else every)


async def eventually_async(
    condition: Callable[[], T | Awaitable[T]], deadline: float = 30.0, every: float | None = None
) -> T:
    """Do as `eventually`, inside an event loop; the condition may be a coroutine function."""
    began = time.monotonic()
    end = began + deadline
    while True:
        try:
            found = condition()
            value: T = await found if inspect.isawaitable(found) else found
        except AssertionError:
            if time.monotonic() > end:
                raise
        else:
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(_late(condition, deadline, value))
        await asyncio.sleep(_pause(began) if every is None else every)


def _pause(began: float) -> float:
    """Return a tenth of the time waited so far, within bounds."""
    return min(max((time.monotonic() - began) / 10, LEAST_PAUSE), MOST_PAUSE)


def _late(condition: Callable[[], object], deadline: float, value: object) -> str:
    name = getattr(condition, "__qualname__", repr(condition))
    return f"{name} was still {value!r} after {deadline} s"
