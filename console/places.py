"""
CONSOLE_PROGRAMS: which programs are asked, and where.
"""

import re
from typing import Final, NamedTuple

_PLACE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,40})=(https?://([^\s/@:,?#\[\]\\]+)(?::(\d{1,5}))?)/?")
_PORTS: Final = range(1, 65536)


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
        elif not _is_host(found[3]):
            faults.append(f"{part!r}: no host has such a name; each part between dots has 1 to 63 characters")
        elif found[4] is not None and int(found[4]) not in _PORTS:
            faults.append(f"{part!r}: a port is from 1 to 65535")
        elif any(place.name == found[1] for place in places):
            faults.append(f"{found[1]} is there twice")
        else:
            places.append(Place(found[1], found[2]))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(places)


def _is_host(name: str) -> bool:
    """Return whether a name has the form that a look-up takes."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True
