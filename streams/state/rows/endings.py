"""
Records that end workers: retried by the next worker, a limited number of times.
"""

from typing import Final

from streams.domain.stage import Ending

MAX_ENDINGS: Final = 3
"""A record that ended this many workers in a row is not retried: it would stop its partition for good."""


def parse(written: bytes) -> Ending:
    """Return the ending that a row contains."""
    offset, at, times = written.split(b":")[:3]
    return Ending(int(offset), int(at) if at else None, int(times))


def written(ending: Ending) -> bytes:
    """Return the row that contains an ending."""
    return b"%d:%s:%d" % (ending.offset, b"" if ending.at is None else b"%d" % ending.at, ending.times)


def one_more(known: Ending | None, offset: int, at: int | None) -> Ending:
    """Return the ending caused by the record at `offset`, at its callback `at`. `known` is the last ending before."""
    return Ending(offset, at, known.times + 1 if known is not None and known.offset == offset else 1)
