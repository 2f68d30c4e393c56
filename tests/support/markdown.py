"""
Tables of Markdown files, for tests that hold a document against the code.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Table:
    """One table: the heading it stands below, its header, its rows; cells as they are written."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(file: Path) -> list[Table]:
    """Return all tables of a file."""
    found: list[Table] = []
    heading, rows = "", list[tuple[str, ...]]()
    for line in [*file.read_text().splitlines(), ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in _CELL_BORDER.split(line.strip())[1:-1]))
            continue
        if len(rows) > 1:
            found.append(Table(heading, rows[0], tuple(rows[2:])))
        rows = []
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
    return found


def code(cell: str) -> list[str]:
    """Return what stands between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def anchors(file: Path) -> set[str]:
    """Return what a link may name after `#`: each heading in lower case, with dashes for spaces, else words only."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
