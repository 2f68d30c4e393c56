"""
Heads of requests that were parsed and admitted before: the same bytes again need neither parser nor rules.

Senders repeat their heads byte for byte, so nearly every request takes this way.
"""

from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
_LONGEST: Final = 2048
_MOST: Final = 1024


class KnownHeads:
    """
    Whole heads, and how long the body behind each is.

    The caller vouches for a head: it was admitted, its address too, and the same bytes again would be the same request
    (`RequestReader.repeatable`). When the rules change, the caller clears them.
    """

    __slots__ = ("_body_bytes",)

    def __init__(self) -> None:
        self._body_bytes: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._body_bytes)

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body if the bytes are one whole request with a known head and a body in braces; else None."""
        # A callback begins with the first brace, which is found ten times as fast as the end of its head.
        end = data.find(b"{")
        size = self._body_bytes.get(data[:end]) if end > 0 else None
        return data[end:] if size is not None and end + size == len(data) else None

    def split(self, data: bytes) -> tuple[list[bytes], bytes, bytes]:
        """
        Split bytes that begin between two requests.

        Returns the bodies of the whole requests at the front whose heads are known; then the next head, if it is whole,
        not known and short enough to be learnt, else nothing; then the remaining bytes.
        """
        known = self._body_bytes
        bodies: list[bytes] = []
        start, end = 0, data.find(_HEAD_END) + 4
        while (size := known.get(data[start:end])) is not None and end + size <= len(data):
            start = end + size
            bodies.append(data[end:start])
            if start == len(data):
                return bodies, b"", b""
            end = data.find(_HEAD_END, start) + 4
        # A known head whose body is not whole is no new head. Without the end of a head, `end` is 3: nothing to learn.
        if size is None and len(_HEAD_END) < end - start <= _LONGEST:
            return bodies, data[start:end], data[end:]
        return bodies, b"", data[start:] if start else data

    def learn(self, head: bytes, body_bytes: int) -> None:
        """Remember a head; when the memory is full, it is emptied first."""
        if len(self._body_bytes) >= _MOST:
            self._body_bytes.clear()
        self._body_bytes[head] = body_bytes

    def clear(self) -> None:
        """Forget all heads."""
        self._body_bytes.clear()
