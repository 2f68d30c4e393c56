"""
Inflates a compressed body that is one whole stream. Pure.
"""

import zlib
from typing import Final

ZLIB: Final = zlib.MAX_WBITS
GZIP: Final = 16 + zlib.MAX_WBITS
RAW_DEFLATE: Final = -zlib.MAX_WBITS
"""Forms of a stream, as zlib numbers them."""


def whole_stream(body: bytes, form: int, max_bytes: int) -> bytes | None:
    """
    Return the content of a stream; None when it exceeds `max_bytes` (no more than that is inflated).

    Raises zlib.error for bytes that are not one whole stream of this form.
    """
    stream = zlib.decompressobj(form)
    content = stream.decompress(body, max_bytes + 1)
    if len(content) > max_bytes:
        return None
    if not stream.eof or stream.unused_data:
        raise zlib.error("cut, or with bytes behind it")
    return content
