"""
Tables as CSV that a spreadsheet shows and does not run.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a line end is a formula to Excel and its kin. Such a text gets an
apostrophe before it, which they hide. A number keeps its sign.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from streams.program.printable import printable

_BEGINS_A_FORMULA: Final = re.compile(r"[=+\-@\t\r\n|%]|\s*[=+\-@]")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
# Excel takes a file without it for one of the local code page.
_MARK: Final = "\ufeff"


def sheet(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV in UTF-8."""
    out = io.StringIO()
    out.write(_MARK)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(cell, heads))
    writer.writerows(map(cell, row) for row in rows)
    return out.getvalue().encode()


def cell(value: object) -> str:
    """Return a value as a cell that is no formula."""
    text = "" if value is None else str(value)
    is_safe = bool(_NUMBER.fullmatch(text)) or not _BEGINS_A_FORMULA.match(text)
    return printable(text if is_safe else f"'{text}")
