"""
Tables, links and prose of Markdown files, for tests of the project's documents.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CELL_BORDER = re.compile(r"(?<!\\)\|")
_FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+")
# A heading, an item of a list, a row of a table and an empty line end the text before them.
_ITEM = re.compile(r"^ *(?:[-*]|\d+\.) ")
_NOT_TEXT = re.compile(r"`[^`]*`|\]\([^)]*\)|[*\[]")


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


def documents() -> list[Path]:
    """Return the documents of the project, without those of installed packages and of running programs."""
    tops = [top for top in ROOT.iterdir() if not top.name.startswith(".") and top.name != "data"]
    return sorted(file for top in tops for file in ([top] if top.suffix == ".md" else top.rglob("*.md")))


def prose(source: str) -> list[tuple[int, str]]:
    """
    Return the first line and the text of each paragraph, item and table cell, without code, links and emphasis.

    Headings are left out: links rest on their words.
    """
    texts: list[tuple[int, str]] = []
    going_on = False
    for number, line in enumerate(_without_code_blocks(source).splitlines(), 1):
        alone = not line.strip() or line.startswith(("#", "|"))
        if line.startswith("|"):
            texts += [(number, cell) for cell in _CELL_BORDER.split(line)]
        elif going_on and not alone and not _ITEM.match(line):
            first, text = texts.pop()
            texts.append((first, f"{text}\n{line}"))
        elif not alone:
            texts.append((number, _ITEM.sub("", line)))
        going_on = not alone
    return [(first, _NOT_TEXT.sub(lambda found: "_" if found[0][0] == "`" else "", text)) for first, text in texts]


def _without_code_blocks(source: str) -> str:
    """Return a document with an empty line for each line of its code blocks."""
    for block in (_FENCED, _INDENTED):
        source = block.sub(lambda found: "\n" * found[0].count("\n"), source)
    return source


def anchors(file: Path) -> set[str]:
    """Return what a link may name after `#`: each heading in lower case, with dashes for spaces, else words only."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
