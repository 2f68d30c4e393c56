"""
CONSOLE_PROGRAMS: which programs are asked, and where.
"""

import re
from typing import Final, NamedTuple

_PLACE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,40})=(https?://[^\s/@:,]+(?::\d{1,5})?)/?")


class Place(NamedTuple):
    """A program's name, and the address of its pages. A host of several addresses is as many processes."""

    name: str
    url: str


def parse_places(text: str) -> tuple[Place, ...]:
    """Return the programs of CONSOLE_PROGRAMS; ValueError with every fault at once."""
    places: list[Place] = []
    faults: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        found = _PLACE.fullmatch(part)
        if found is None:
            faults.append(f"{part!r} is not name=http(s)://host:port")
        elif any(place.name == found[1] for place in places):
            faults.append(f"{found[1]} is there twice")
        else:
            places.append(Place(*found.groups()))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(places)
