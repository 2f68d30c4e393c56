"""
Reading the fenced blocks of a Markdown file, to run them as a reader would.
"""

import re
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def blocks(file: Path, heading: str, language: str) -> list[str]:
    """Return the blocks of a language below a heading, up to the next heading; LookupError when there is none."""
    text = file.read_text()
    headings = [match for match in _HEADING.finditer(_without_blocks(text)) if match.group(2).strip() == heading]
    if not headings:
        raise LookupError(f"{file.name} has no heading {heading!r}")
    following = _HEADING.search(_without_blocks(text), headings[0].end())
    section = text[headings[0].end() : following.start() if following else None]
    found = [code for name, code in _FENCE.findall(section) if name == language]
    if not found:
        raise LookupError(f"{file.name} has no {language} block below {heading!r}")
    return found


def _without_blocks(text: str) -> str:
    """Return a text of the same length in which a comment of a shell is not taken for a heading."""
    return _FENCE.sub(lambda match: " " * len(match.group(0)), text)
