import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.clickhouse.compression import decode_blocks, decode_body, encode_blocks, encode_body
from sandbox.clickhouse.errors import ClickHouseError

# `SELECT 1` in LZ4 as a ClickHouse client sends it: checksum, method, sizes, one literal run.
_BLOCK = encode_blocks(b"SELECT 1")


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "lz4"])
@given(body=st.binary())
def test_encoded_bodies_can_be_decoded(name: str, body: bytes) -> None:
    encoded, used = encode_body(body, name)
    assert used == name
    assert decode_body(encoded, name) == body


def test_the_first_known_encoding_is_taken() -> None:
    assert encode_body(b"x" * 99, "br;q=1, zstd;q=0.5, gzip")[1] == "zstd"
    assert encode_body(b"x", "") == (b"x", None)
    assert encode_body(b"x", "br, identity") == (b"x", None)


def test_deflate_may_come_without_its_header() -> None:
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert decode_body(bare.compress(b"rows") + bare.flush(), "deflate") == b"rows"


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ClickHouseError, match="UNKNOWN_COMPRESSION_METHOD"):
        decode_body(b"", "br")


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "lz4"])
@given(body=st.binary(min_size=1, max_size=50))
def test_a_broken_body_is_refused_and_never_an_exception_of_a_library(name: str, body: bytes) -> None:
    try:
        decode_body(body, name)
    except ClickHouseError as refused:
        assert refused.code == 271  # noqa: PT017 - most bodies are broken, but not all


@given(st.binary(max_size=3_000_000))
def test_blocks_hold_any_body(body: bytes) -> None:
    assert decode_blocks(encode_blocks(body)) == body


@given(st.integers(0, len(_BLOCK) - 1))
def test_a_block_cut_short_is_refused(length: int) -> None:
    if length:
        with pytest.raises(ClickHouseError, match="CANNOT_DECOMPRESS"):
            decode_blocks(_BLOCK[:length])


def test_the_compression_of_a_block_has_to_be_known() -> None:
    with pytest.raises(ClickHouseError, match="UNKNOWN_COMPRESSION_METHOD"):
        decode_blocks(_BLOCK[:16] + b"\x11" + _BLOCK[17:])
