"""Which bodies are callbacks, and why others are not."""

import gzip
import tracemalloc
import zlib
from pathlib import Path

import orjson
import pytest

from ingest.callback.body import Rejected, examine, inflate
from ingest.callback.nesting import MAX_DEPTH
from ingest.callback.redaction import Redactor
from streams.contract.records import Reason

OPEN = Redactor([])
SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("case*.json"))


def nested(levels: int) -> bytes:
    """Return a callback with that many levels, itself included."""
    return b'{"messageId":"a","x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def reason(body: bytes) -> Reason | None:
    found = examine(body, OPEN)
    return found.reason if isinstance(found, Rejected) else None


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_is_taken_byte_for_byte(sample: Path) -> None:
    body = sample.read_bytes()
    document = orjson.loads(body)
    key = document.get("messageId") or document["trackingId"]
    assert examine(body, OPEN) == (key, body)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"messageId":"A-b"}', "A-b"),
        (b' \r\n{"messageId":"a"}\n', "a"),
        (b'{"messageId":null,"trackingId":"t"}', "t"),
        (b'{"messageId":"","trackingId":"t"}', "t"),
        (b'{"messageId":"a","messageId":"b"}', "b"),
        (b'{"messageId":"\\u0000"}', "\x00"),
        (b'{"messageId":"a","n":123456789012345678901234567890}', "a"),
        (b'{"messageId":"' + b"k" * 256 + b'"}', "k" * 256),
    ],
)
def test_odd_callbacks_are_taken_unchanged(body: bytes, key: str) -> None:
    assert examine(body, OPEN) == (key, body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Reason.NOT_JSON),
        (b" \r\n", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"hello", Reason.NOT_JSON),
        (b"messageId=a&status=Sent", Reason.NOT_JSON),
        (b'{"messageId":"a"},{"messageId":"b"}', Reason.NOT_JSON),
        (b'{"messageId":"a"}{"messageId":"b"}', Reason.NOT_JSON),
        (b'{"messageId":"a"}],"x":[{}', Reason.NOT_JSON),
        (b'{"messageId":"a","x":"' + b"y" * 5000 + b'"},{"messageId":"b"}', Reason.NOT_JSON),
        (b'{"messageId":"a"}\x00', Reason.NOT_JSON),
        (b'{"messageId":"a\x00"}', Reason.NOT_JSON),
        (b'{"messageId":"a\xff"}', Reason.NOT_JSON),
        (b'{"messageId":"\\ud800"}', Reason.NOT_JSON),
        (b'{"messageId":NaN}', Reason.NOT_JSON),
        (b'{"messageId":"a","x":Infinity}', Reason.NOT_JSON),
        (b'{"messageId":"a","x":1e999}', Reason.NOT_JSON),
        (b'\xef\xbb\xbf{"messageId":"a"}', Reason.NOT_JSON),
        ('{"messageId":"a"}'.encode("utf-16"), Reason.NOT_JSON),
        (b"[]", Reason.NOT_OBJECT),
        (b'[{"messageId":"a"}]', Reason.NOT_OBJECT),
        (b"null", Reason.NOT_OBJECT),
        (b"true", Reason.NOT_OBJECT),
        (b"7", Reason.NOT_OBJECT),
        (b'"messageId"', Reason.NOT_OBJECT),
        (b"{}", Reason.NO_KEY),
        (b'{"messageId":7}', Reason.NO_KEY),
        (b'{"messageId":""}', Reason.NO_KEY),
        (b'{"messageId":"null","status":{"name":"Sent"}}', Reason.NO_KEY),
        (b'{"messageId":"undefined","status":{"name":"Sent"}}', Reason.NO_KEY),
        (b'{"messageId":"(null)","status":{"name":"Sent"}}', Reason.NO_KEY),
        (b'{"messageId":"00000000-0000-0000-0000-000000000000","status":{"name":"Sent"}}', Reason.NO_KEY),
        (b'{"messageId":["a"]}', Reason.NO_KEY),
        (b'{"messageid":"a"}', Reason.NO_KEY),
        (b'{"messageId":"' + b"k" * 257 + b'"}', Reason.NO_KEY),
        (b"[" * 10_000 + b"]" * 10_000, Reason.TOO_DEEP),
        (b"[" * 10_000, Reason.TOO_DEEP),
        (b'{"a":' * 10_000, Reason.TOO_DEEP),
        (nested(1_022), Reason.TOO_DEEP),
    ],
)
def test_a_body_that_is_no_callback_is_rejected_with_its_reason(body: bytes, expected: Reason) -> None:
    assert reason(body) is expected


@pytest.mark.parametrize("levels", [2, 3, MAX_DEPTH - 1, MAX_DEPTH])
def test_a_callback_stays_readable_in_its_envelope(levels: int) -> None:
    assert reason(nested(levels)) is None
    orjson.loads(b'{"callbacks":[' + nested(levels) + b"]}")
    orjson.dumps(orjson.loads(nested(levels)))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1_000, 1_021, 1_022, 1_023, 1_024])
def test_a_body_that_is_nested_deeper_is_rejected(levels: int) -> None:
    assert reason(nested(levels)) is Reason.TOO_DEEP


def test_many_brackets_are_not_deep() -> None:
    assert reason(b'{"messageId":"a","x":[' + b",".join([b"[]"] * 5_000) + b'],"y":"' + b"[" * 5_000 + b'"}') is None


@pytest.mark.parametrize(
    "body", [b'{"phone":"+306900000000", nonsense}', b'["+306900000000"]', b'{"to":"+306900000000"}']
)
def test_a_detail_never_quotes_the_body(body: bytes) -> None:
    found = examine(body, OPEN)
    assert isinstance(found, Rejected)
    assert "306" not in found.detail
    assert "nonsense" not in found.detail


def test_a_detail_says_where() -> None:
    assert examine(b'{"messageId":"a\xff"}', OPEN) == Rejected(Reason.NOT_JSON, "not UTF-8 at byte 15")
    found = examine(b'{"messageId":}', OPEN)
    assert isinstance(found, Rejected)
    assert found.detail.startswith("not JSON at character 13")


def test_a_callback_is_stored_without_the_secret() -> None:
    body = b'{"trackingId":"t","callbackInfo":{"url":"https://x.example/callbacks/0123456789abcdef","strategy":"OnChange"}}'
    expected = body.replace(b"0123456789abcdef", b"***")
    assert examine(body, Redactor(["0123456789abcdef"])) == ("t", expected)


def test_gzip_is_inflated_within_the_limit() -> None:
    assert inflate(gzip.compress(b"x" * 100), 100) == b"x" * 100
    assert inflate(gzip.compress(b"x" * 101), 100) is None


def test_a_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    tracemalloc.start()
    try:
        assert inflate(bomb, 1_000) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        gzip.compress(b"{}")[:-1],
        gzip.compress(b"{}") + b"more",
        gzip.compress(b"{}") + gzip.compress(b"{}"),
        zlib.compress(b"{}"),
    ],
)
def test_a_body_that_is_not_one_whole_gzip_stream_is_rejected(body: bytes) -> None:
    found = inflate(body, 1_000)
    assert isinstance(found, Rejected)
    assert found.reason is Reason.NOT_JSON
