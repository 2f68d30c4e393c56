"""
Positions that no name of a file tells any more, since the files were removed: `.position-3` in the folder of a table.
"""

import re
from typing import Final

from streams.program.objects import Place

_FILE: Final = re.compile(r"\.position-(\d+)")


def position_file(partition: int) -> str:
    """Return the name of the file that tells the position of a partition."""
    return f".position-{partition}"


def noted_positions(folder: Place) -> dict[int, int]:
    """Return partition → the offset after the last one that was ever written to a file that is removed by now."""
    found = ((match, file) for file in folder.glob(".position-*") if (match := _FILE.fullmatch(file.name)))
    return {int(match[1]): int(file.read_text()) for match, file in found}
