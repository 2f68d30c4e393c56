"""
`routee-streams alarms rehearse`: recorded callbacks through the rules, and the alarms that come of them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from streams.admin.judge import lines_of
from streams.domain.alarms.thresholds import parse_thresholds
from streams.domain.rehearsal import Rehearsal
from streams.errors import UsageError
from streams.settings import StreamsSettings


def rehearse(settings: StreamsSettings, file: str, warn: Callable[[str], object]) -> Iterator[dict[str, Any]]:
    """
    Yield the records of the alarms as envelopes come in, one a line; a word for `warn` of callbacks that were refused.

    Raises UsageError for a file that cannot be read, and for a line that is no envelope, which it names.
    """
    rehearsal = Rehearsal(settings.policy, parse_thresholds(settings.streams_alarm_thresholds))
    taken = 0

    def counted(lines: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal taken
        for line in lines:
            taken += 1
            if line.strip():
                yield line

    try:
        with lines_of(file) as lines:
            yield from rehearsal.alarms(counted(iter(lines)))
    except (ValueError, msgspec.DecodeError):
        raise UsageError(
            f"line {taken}: an envelope of callbacks.raw is expected, "
            '{"received_at":"2026-11-22T09:00:00.000Z","callbacks":[…]}'
        ) from None
    if rehearsal.refused:
        warn(f"{rehearsal.refused} callbacks were refused")
