"""
Times as options of commands have them.
"""

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def moment(text: str) -> float:
    """Return a time in seconds since 1970, as UTC when it names no zone; ArgumentTypeError."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time like 2026-11-22T09:00:00Z") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
