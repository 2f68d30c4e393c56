"""
The lines of a record of an internal topic. One that cannot be taken in is rejected, and must not stop the others.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from streams.contract.personal import Kept
from streams.contract.records import Reason
from streams.contract.refused import Place
from streams.contract.topics import Topic
from streams.domain.refusal import Refusal
from streams.domain.rejection import rejection
from streams.domain.stage import Ending, Output, UnfinishedError

TakenT = TypeVar("TakenT")


class RefusedLineError(Exception):
    """The line is rejected; the text says why."""


def taken_line(at: int, line: bytes, ended: Ending | None, take: Callable[[dict[str, Any]], TakenT]) -> TakenT:
    """
    Return what `take` makes of the line with the index `at`.

    RefusedLineError when it cannot be read or has ended workers too often: we wrote it, so a bug did. UnfinishedError
    when memory or stack run out: the line is not at fault.
    """
    if ended is not None and ended.at in (None, at):
        raise RefusedLineError(f"it ended a worker {ended.times} times in a row")
    try:
        return take(orjson.loads(line))
    except (MemoryError, RecursionError) as error:
        raise UnfinishedError(at) from error
    except Exception as error:
        raise RefusedLineError(type(error).__name__) from error


def rejected_line(  # noqa: PLR0913, PLR0917 - a line, its record, and its moment
    topic: Topic,
    partition: int,
    offset: int,
    line: bytes,
    why: RefusedLineError,
    received: int,
    place: Place | None = None,
) -> Output:
    """Return the rejection of a line; `place` is that of the callback that it was made from."""
    detail = f"{why} for offset {offset} of {topic.suffix}[{partition}]"
    # Our own line, made of what the privacy settings had left.
    return rejection(Refusal(Reason.BUG, detail), Kept(line, redacted=False), received, place)
