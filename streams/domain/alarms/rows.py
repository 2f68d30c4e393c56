"""
Rows of the alarms that are read in their own form.
"""

from typing import TypeVar

import msgspec

from streams.domain.stage import Rows

_Form = TypeVar("_Form")


def read_row(rows: Rows, key: bytes, form: type[_Form]) -> _Form | None:
    """Return a row in its form; None when there is none."""
    raw = rows.raw(key)
    return None if raw is None else msgspec.json.decode(raw, type=form)
