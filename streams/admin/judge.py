"""
`routee-streams judge`: envelopes through the rules of today, and the verdict on each callback; reaches no Kafka.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from streams.domain.judging import verdicts
from streams.errors import UsageError
from streams.settings import StreamsSettings

STANDARD_INPUT: Final = "-"


def judge(settings: StreamsSettings, file: str) -> Iterator[dict[str, Any]]:
    """Yield a verdict for each callback of envelopes, one envelope a line; UsageError for an unreadable file."""
    now, policy = int(time.time() * 1000), settings.policy
    with lines_of(file) as lines:
        for line in lines:
            if line.strip():
                yield from verdicts(policy, line, now)


@contextmanager
def lines_of(file: str) -> Iterator[BinaryIO]:
    """Open a file of `--from-file`, `-` for standard input; UsageError when it cannot be read."""
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"--from-file {file}: {error.strerror}") from None
    with opened:
        yield opened
