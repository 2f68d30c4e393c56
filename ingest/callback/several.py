"""
Takes several callbacks out of one body: a relay or a queue on the way may gather them in a JSON array. Pure.
"""

from typing import Final

import msgspec

from ingest.callback.nesting import MAX_DEPTH, is_deeper
from ingest.callback.unwrapping import is_laborious

MOST: Final = 100
"""Each object becomes a record of its own, refused ones too: a small body must not become thousands."""

_MAX_DEPTH: Final = 2 * MAX_DEPTH
"""Python's own limit of nesting differs between its versions and with the depth of the calls: ours comes before it."""

_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NO_ARRAY: Final = (msgspec.MsgspecError, UnicodeDecodeError)


def several(body: bytes) -> list[bytes]:
    """Return the bytes of each object of a body that is a JSON array of 2 to `MOST` objects; none of any other body."""
    try:
        # A text of very many marks is left whole: taking it apart would take long.
        objects = [] if is_laborious(body.decode()) or is_deeper(body, _MAX_DEPTH) else _array(body)
    except _NO_ARRAY:
        return []
    if not 1 < len(objects) <= MOST:
        return []
    parts = [bytes(one) for one in objects]
    return parts if all(one.startswith(b"{") for one in parts) else []
