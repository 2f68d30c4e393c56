"""No secret is stored, however it is spelled; nothing else is touched."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.callback.redaction import Redactor

LONG = "0123456789abcdef0123"
SHORT = "s3cret"
REDACTOR = Redactor([LONG, SHORT])


def report(url: str) -> bytes:
    return b'{"price":0.00600000,"trackingId":"t","callbackInfo":{"strategy":"OnChange","url":%s}}' % url.encode()


def redact(body: bytes) -> bytes:
    assert REDACTOR.finds(body, orjson.loads(body))
    return REDACTOR.redact(body)


@pytest.mark.parametrize("secret", [LONG, SHORT])
@pytest.mark.parametrize(
    ("spelling", "stored"),
    [
        ('"https://x.example/callbacks/SECRET"', '"https://x.example/callbacks/***"'),
        ('"https://x.example/callbacks/SECRET?a=b"', '"https://x.example/callbacks/***?a=b"'),
        (r'"https:\/\/x.example\/callbacks\/SECRET"', '"https://x.example/callbacks/***"'),
    ],
)
def test_the_echoed_url_loses_its_secret(secret: str, spelling: str, stored: str) -> None:
    assert redact(report(spelling.replace("SECRET", secret))) == report(stored)


@pytest.mark.parametrize("secret", [LONG, SHORT])
def test_no_escapes_codes_and_entities_hide_a_secret(secret: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in secret)
    encoded = "".join(f"%{ord(letter):02x}" for letter in secret)
    entities = "".join(f"&#x{ord(letter):x};" for letter in secret)
    twice = encoded.replace("%", "%25")
    for spelling in (
        escaped,
        encoded,
        encoded.replace("%", "\\u0025"),
        twice,
        entities,
        entities.replace("&", "&amp;"),
    ):
        assert redact(report(f'"https://x.example/callbacks/{spelling}"')) == report(
            '"https://x.example/callbacks/***"'
        )


def test_every_value_loses_a_long_secret_and_keeps_a_short_word() -> None:
    body = b'{"messageId":"m","label":"0123456789abcdef0123","message":"the s3cret of x.example\\/s3cret"}'
    assert redact(body) == b'{"messageId":"m","label":"***","message":"the s3cret of x.example/***"}'


def test_names_and_numbers_are_not_values() -> None:
    redactor = Redactor(["12345678901234567890"])
    body = b'{"12345678901234567890" : 12345678901234567890, "messageId":"m"}'
    assert redactor.redact(body) == body


def test_a_callback_without_secrets_is_not_searched_further() -> None:
    body = report('"https://x.example/callbacks/other"')
    assert not REDACTOR.finds(body, orjson.loads(body))
    assert not REDACTOR.finds(b"{}", {"callbackInfo": "s3cret", "url": None})
    assert not Redactor([]).finds(body, orjson.loads(body))


def test_one_secret_may_begin_with_another() -> None:
    redactor = Redactor([LONG, LONG + "-longer"])
    assert redactor.redact(b'["' + LONG.encode() + b'-longer"]') == b'["***"]'


@pytest.mark.parametrize("body", [b'{"url":"https://x/callbacks/s3cret', b"\xff/s3cret\xff", b'/s3cret":{{"/s3cret"'])
def test_bytes_that_are_not_json_lose_it_as_well(body: bytes) -> None:
    assert b"s3cret" not in REDACTOR.redact_anything(body)
    assert b"/***" in REDACTOR.redact_anything(body)


def test_hostile_bytes_cost_no_time() -> None:
    assert REDACTOR.redact_anything(b'"\\' * 100_000)
    assert REDACTOR.redact_anything(b'"' * 200_001)
    assert REDACTOR.redact_anything(b'"a"' + b" " * 200_000)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(-9, 9), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_callback_without_a_secret_keeps_every_byte(document: object) -> None:
    body = orjson.dumps(document)
    assert REDACTOR.redact(body) == body


@pytest.mark.parametrize("secret", [f"/{SHORT}", LONG])
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_secret_shows_however_often_it_is_covered(secret: str, times: int) -> None:
    for cover in (quoted_often, json.dumps, lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text)):
        text = secret
        for _ in range(times):
            text = cover(text)
        assert REDACTOR.shows(f"a {text} b")
    assert REDACTOR.shows("\0".join(secret))
    assert not REDACTOR.shows(secret[:-1] + "_")
    assert not Redactor([]).shows(secret)


def quoted_often(text: str) -> str:
    return "".join(f"%{ord(letter):02x}" for letter in text)


def test_a_text_that_is_covered_too_often_may_show_a_secret() -> None:
    text = "%"
    for _ in range(9):
        text = text.replace("%", "%25")
    assert REDACTOR.shows(text)


def test_a_short_secret_is_masked_as_a_whole_segment_only() -> None:
    """`dev` in a longer word is no secret, and a masked word could not be restored."""
    redactor = Redactor(["dev"])
    body = b'{"messageId":"m","message":"see https://shop.example/deviation and https://shop.example/dev-1"}'
    assert redactor.redact(body) == body
    assert redactor.redact_anything(b"not JSON /deviation /dev") == b"not JSON /deviation /***"
    assert redactor.redact(b'["https://x.example/callbacks/dev/"]') == b'["https://x.example/callbacks/***/"]'
