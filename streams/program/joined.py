"""
The objects of a day that count: while a compaction joins some of them, two have the same rows.
"""

from typing import Final

import orjson

from streams.program.file_names import MANIFEST, current, joined_in, parse_chained
from streams.program.objects import ObjectPath

_TRIES: Final = 10


def named_objects(day: ObjectPath) -> dict[str, int | None] | None:
    """
    Return the objects that the manifest of a day names, each with its last offset.

    None when the day has none, or one that cannot be understood.
    """
    try:
        files = orjson.loads((day / MANIFEST).read_bytes())["files"]
        return {str(file["name"]): file.get("last") for file in files}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def current_objects(day: ObjectPath) -> list[ObjectPath]:
    """Return those objects of a day that have its rows, each row once."""
    names = _names(day)
    for _ in range(_TRIES):
        if not joined_in(names):
            break
        before, named = names, named_objects(day)
        # A compaction may have come to its end between the two looks.
        names = _names(day)
        if before == names:
            return [day / name for name in current(names, named)]
    return [day / name for name in current(names, named_objects(day) if joined_in(names) else None)]


def _names(day: ObjectPath) -> list[str]:
    return sorted(file.name for file in day.iterdir() if parse_chained(file.name) is not None)


def joined_over(day: ObjectPath, partition: int, position: int) -> int | None:
    """Return the last offset of the joined object of a day that has a position, None when no manifest names one."""
    for text in named_objects(day) or ():
        name = parse_chained(text)
        if name is None or name.last is None or name.partition != partition:
            continue
        if name.first <= position <= name.last:
            return name.last
    return None
