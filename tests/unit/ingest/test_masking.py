"""Bytes that are no callback are kept without secrets, or not at all."""

import gzip
import zlib
from base64 import b64encode

import pytest

from ingest.callback.masking import masked
from ingest.callback.redaction import Redactor

SECRET = "0123456789abcdef0123"  # noqa: S105 - of the tests
REDACTOR = Redactor([SECRET, "dev"])
REPORT = f'{{"trackingId":"t","callbackInfo":{{"url":"https://x.example/callbacks/{SECRET}"}}'.encode()
MOST = 65_536


def kept(body: bytes) -> bytes | None:
    return masked(body, REDACTOR, MOST)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (REPORT, REPORT.replace(SECRET.encode(), b"***")),
        (b"\xff" + REPORT, b"\xff" + REPORT.replace(SECRET.encode(), b"***")),
        (REPORT.decode().encode("utf-16"), REPORT.decode().replace(SECRET, "***").encode("utf-16")),
        (b"a=1&url=%68%74%74%70&x=" + SECRET.encode(), b"a=1&url=%68%74%74%70&x=***"),
        (b"see " + b64encode(b"a" + SECRET.encode()), b"see ***"),
    ],
)
def test_a_secret_is_masked_and_the_other_bytes_stay(body: bytes, expected: bytes) -> None:
    assert kept(body) == expected


COMPRESSED = gzip.compress(b"x" * 500 + REPORT + b"y" * 500)


@pytest.mark.parametrize(
    "body",
    [
        COMPRESSED,
        COMPRESSED[:-9],
        COMPRESSED + b"junk",
        gzip.compress(COMPRESSED),
        zlib.compress(REPORT),
        b64encode(COMPRESSED),
        gzip.compress(REPORT.replace(SECRET.encode(), b"%30" + SECRET[1:].encode())),
        gzip.compress(b"x" * (MOST + 1)),
        "".join(f"%25{ord(letter):02x}" for letter in SECRET).encode(),
    ],
    ids=["gzip", "cut", "junk behind it", "twice", "zlib", "base64", "covered", "too long to look at", "not JSON"],
)
def test_bytes_in_which_a_secret_cannot_be_masked_are_not_kept(body: bytes) -> None:
    assert kept(body) is None


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\x00", b"[]", gzip.compress(b"hello"), gzip.compress(b"a")[:-9]])
def test_bytes_without_a_secret_are_kept(body: bytes) -> None:
    assert kept(body) == body


def test_without_secrets_no_byte_is_looked_at() -> None:
    bomb = gzip.compress(b"x" * (MOST + 1))
    assert masked(bomb, Redactor([]), MOST) is bomb
