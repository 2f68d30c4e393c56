"""
Bytes with something wrong about them, the same for the same seed.
"""

import random
from typing import Final

_PIECES: Final = (b"[", b"{", b'"', b"\\", b"\x00", b",", b"null", b"\xff", b"]}", b"\r\n", b"\\u0000", b"\xed\xa0\x80")


def mutated(chance: random.Random, original: bytes, changes: int = 3) -> bytes:
    """Return the bytes with up to so many places changed, lost, doubled, put in or cut off; now and then with none."""
    data = bytearray(original)
    for _ in range(chance.randrange(changes + 1)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[place : place + chance.randrange(40)]
            case 2:
                data[place:place] = data[place : place + chance.randrange(40)]
            case 3:
                del data[place + chance.randrange(40) :]
            case _:
                data[place:place] = chance.choice(_PIECES)
    return bytes(data)
