"""
Rows outlive the version that wrote them.

Rows stay for weeks, and workers of two versions share a state while one replaces the other. So a row may lack a newer
field, which then has its default, or have a field unknown to this version, which is kept unchanged.

- A row that is a list (an `array_like` structure): new fields go to its end, with a default.
- A row that is an object: a new name, with a default.
- A value within a row (a place, a stamp, a final) never changes its form: further data becomes a new field.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec.structs import fields

Row = TypeVar("Row", bound=msgspec.Struct)
Object = TypeVar("Object", bound=Mapping[str, Any])

Place = tuple[int, ...]
"""Path of a list within a row: its index in the row, the index within that list, and so on; () is the row itself."""


def filled(defaults: Object, row: Object) -> Object:
    """Return an object row with all its fields, and the defaults of the fields that it lacks."""
    return row if defaults.keys() <= row.keys() else cast("Object", {**defaults, **row})


class LaterFields(NamedTuple):
    """The values that a later version added to the ends of the lists in a row."""

    ends: Mapping[Place, list[Any]]

    def added_to(self, row: msgspec.Struct) -> list[Any]:
        """Return a row to write that has these values again, except those of lists that no longer exist."""
        written: list[Any] = msgspec.to_builtins(row)
        for place, values in self.ends.items():
            inner = _at(written, place)
            if inner is not None:
                inner += values
        return written

    @classmethod
    def cut_from(cls, written: list[Any], kind: type[msgspec.Struct]) -> Self:
        """Remove from a decoded row the values that `kind` has no field for, and return them."""
        ends = {}
        for place, inner, known in _lists(written, kind, ()):
            if len(inner) > known:
                ends[place] = inner[known:]
                del inner[known:]
        return cls(ends)


class ListRow(Generic[Row]):
    """Reads rows that are lists of the fields of `kind`; it and its inner structures must forbid unknown fields."""

    def __init__(self, kind: type[Row]) -> None:
        self._kind: Final = kind
        self._decode: Final = msgspec.json.Decoder(kind).decode

    def read(self, written: bytes) -> tuple[Row, LaterFields | None]:
        """
        Return a row, and the values that a later version added, None when there are none (the usual case).

        Raises for bytes that are no such row.
        """
        try:
            return self._decode(written), None
        except msgspec.ValidationError:
            row = msgspec.json.decode(written)
            later = LaterFields.cut_from(row, self._kind)
            return msgspec.convert(row, self._kind), later


def _lists(written: Any, kind: Any, place: Place) -> Iterator[tuple[Place, list[Any], int]]:  # noqa: ANN401
    """Yield the path of each list that is a structure, the list, and its number of known fields; outer lists first."""
    if get_origin(kind) is list and isinstance(written, list):
        (kind,) = get_args(kind)
        for at, item in enumerate(written):
            yield from _lists(item, kind, (*place, at))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        known = fields(kind)
        yield place, written, len(known)
        for at, (field, value) in enumerate(zip(known, written, strict=False)):
            yield from _lists(value, field.type, (*place, at))


def _at(written: Any, place: Place) -> list[Any] | None:  # noqa: ANN401
    for at in place:
        if at >= len(written):
            return None
        written = written[at]
    return cast("list[Any]", written)
