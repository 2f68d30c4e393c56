"""
Erasures for tests, under a key of their own.
"""

from datetime import datetime
from typing import Final

from streams.contract.erasures import Erasure, Marks

KEY: Final = "0123456789abcdef" * 4
MARKS: Final = Marks(KEY.encode())


def erasure(recipient: str, at: datetime, marks: Marks = MARKS) -> Erasure:
    """Return the erasure of a recipient's SMS before a moment."""
    mark = marks.of(recipient)
    assert mark is not None
    return Erasure(mark=mark, at=at, key_id=marks.key_id)
