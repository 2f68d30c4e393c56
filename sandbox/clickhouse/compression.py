"""
The encodings of bodies: HTTP's own, and ClickHouse's compressed blocks (`compress=1`, `decompress=1`).
"""

import gzip
import struct
import zlib
from collections.abc import Callable
from typing import Final

import lz4.block
import lz4.frame
import zstandard

from sandbox.clickhouse.errors import ClickHouseError, refusal

_BLOCK: Final = struct.Struct("<BII")  # method, size of header and data, size of the data when decompressed
_CHECKSUM: Final = struct.Struct("<QQ")
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90
_BLOCK_BYTES: Final = 1 << 20


def _inflate(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:  # some clients mean the bare stream, without zlib's header
        return zlib.decompress(body, -zlib.MAX_WBITS)


def _unzstd(body: bytes) -> bytes:
    return bytes(zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(body))


_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": _inflate,
    "zstd": _unzstd,
    "lz4": lz4.frame.decompress,
}
# Quick rather than small: both ends are on one machine.
_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
    "deflate": lambda body: zlib.compress(body, 1),
    "zstd": lambda body: zstandard.ZstdCompressor(level=1).compress(body),
    "lz4": lz4.frame.compress,
}


def decode_body(body: bytes, encoding: str) -> bytes:
    """Return the body without its `Content-Encoding`; ClickHouseError when that is unknown or the body broken."""
    decoder = _DECODERS.get(encoding)
    if decoder is None:
        raise refusal(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown Content-Encoding {encoding}")
    try:
        return decoder(body)
    except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
        raise ClickHouseError(f"Code: 271. DB::Exception: {encoding}: {error}. (CANNOT_DECOMPRESS)") from error


def encode_body(body: bytes, accepted: str) -> tuple[bytes, str | None]:
    """Return the body in the first encoding of an `Accept-Encoding` that we know, and that encoding's name."""
    for offer in accepted.lower().split(","):
        name = offer.split(";")[0].strip()
        if name in _ENCODERS:
            return _ENCODERS[name](body), name
    return body, None


def decode_blocks(body: bytes) -> bytes:
    """Return the data of ClickHouse's compressed blocks; ClickHouseError when they are broken."""
    parts = []
    start = 0
    try:
        while start < len(body):
            method, compressed, plain = _BLOCK.unpack_from(body, start + _CHECKSUM.size)
            end = start + _CHECKSUM.size + compressed
            parts.append(_decode_block(method, body[start + _CHECKSUM.size + _BLOCK.size : end], plain))
            start = end
    except (struct.error, lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise ClickHouseError(f"Code: 271. DB::Exception: {error}. (CANNOT_DECOMPRESS)") from error
    return b"".join(parts)


def _decode_block(method: int, data: bytes, plain: int) -> bytes:
    if method == _NONE:
        return data
    if method == _LZ4:
        return bytes(lz4.block.decompress(data, uncompressed_size=plain))
    if method == _ZSTD:
        return bytes(zstandard.ZstdDecompressor().decompress(data, max_output_size=plain))
    raise refusal(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown codec family code: {method}")


def encode_blocks(body: bytes) -> bytes:
    """Return the body as ClickHouse's compressed blocks, in LZ4."""
    return b"".join(_encode_block(body[start : start + _BLOCK_BYTES]) for start in range(0, len(body), _BLOCK_BYTES))


def _encode_block(plain: bytes) -> bytes:
    from clickhouse_cityhash.cityhash import CityHash128  # noqa: PLC0415 - only clients that ask for blocks need it

    data: bytes = lz4.block.compress(plain, store_size=False)
    block = _BLOCK.pack(_LZ4, len(data) + _BLOCK.size, len(plain)) + data
    checksum: int = CityHash128(block)
    return _CHECKSUM.pack(checksum >> 64, checksum & (1 << 64) - 1) + block
