"""
Records that end workers: taken in again, but not for ever.
"""

from typing import Final

from streams.domain.stage import Ending

MOST_ENDINGS: Final = 3
"""A record that ended a worker so often in a row is not tried again: otherwise it would stop its partition for good."""


def parse(written: bytes) -> Ending:
    """Return the ending of a row."""
    offset, at, times = written.split(b":")[:3]
    return Ending(int(offset), int(at) if at else None, int(times))


def written(ending: Ending) -> bytes:
    """Return the row."""
    return b"%d:%s:%d" % (ending.offset, b"" if ending.at is None else b"%d" % ending.at, ending.times)


def one_more(known: Ending | None, offset: int, at: int | None) -> Ending:
    """Return the ending of a worker by the record at this offset, at this callback of it; `known` was the last one."""
    return Ending(offset, at, known.times + 1 if known is not None and known.offset == offset else 1)
