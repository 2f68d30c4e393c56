"""
The end of a campaign's state: 400 days after its last change it is over, and its rows go.

Time is stream time, which follows from the records alone. A row that is over is none to the rules, whether it is still
there or not, so deleting it changes nothing: that may happen at any moment. No tombstone goes to a public topic.
"""

from collections.abc import Sequence
from typing import Final

from streams.domain.policy import CAMPAIGN_MS, HOUR_MS

_UNDATED_STEP_MS: Final = HOUR_MS


def passed(time: int, dated: int, received: int) -> int:
    """
    Return the time (ms) of the campaigns after a line of the partials topic, made at this stream time of its source.

    A source that had no date yet (`dated` is 0), or an older version, tells the time of receipt only: our clock, which
    moves time by an hour at a time at most.
    """
    if dated:
        return max(time, dated)
    return max(time, min(received, time + _UNDATED_STEP_MS)) if time else received


def noted_time(touched: Sequence[int], version: int) -> int:
    """
    Return the stream time (ms) that is noted of the last change of a row, as [version of the row, time].

    0 when another version now means that an older program has changed the row since, and when there was no date yet.
    """
    noted, moment = touched[:2]
    return moment if noted == version else 0


def touched_at(touched: Sequence[int], version: int, last: int) -> int:
    """
    Return the time (ms) of the last change of a row, whose last callback was received at `last`.

    Stream time stands still where no dated callback comes, so the later time of receipt counts: unless it is that of a
    clock which was ahead by more than any campaign is silent.
    """
    moment = noted_time(touched, version)
    return max(moment, last) if not moment or last <= moment + CAMPAIGN_MS else moment
