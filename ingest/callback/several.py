"""
Takes several callbacks out of one body: a relay or a queue on the way may gather them in a JSON array. Pure.
"""

from typing import Final

import msgspec

from ingest.callback.unwrapping import is_laborious

MOST: Final = 100
"""Each object becomes a record of its own, refused ones too: a small body must not become thousands."""

_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NO_ARRAY: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def several(body: bytes) -> list[bytes]:
    """Return the bytes of each object of a body that is a JSON array of 2 to `MOST` objects; none of any other body."""
    try:
        objects = [bytes(one) for one in _array(body)]
        is_short = not is_laborious(body.decode())
    except _NO_ARRAY:
        return []
    is_of_objects = all(one.startswith(b"{") for one in objects)
    return objects if 1 < len(objects) <= MOST and is_of_objects and is_short else []
