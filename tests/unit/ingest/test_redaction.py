"""No secret is stored, however it is spelled; nothing else is touched."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.callback.body import examine
from ingest.callback.redaction import Redactor

LONG = "0123456789abcdef0123"
SHORT = "s3cret"
REDACTOR = Redactor([LONG, SHORT])


def report(url: str) -> bytes:
    return b'{"price":0.00600000,"trackingId":"t","callbackInfo":{"strategy":"OnChange","url":%s}}' % url.encode()


def redact(body: bytes) -> bytes:
    assert REDACTOR.finds(body)
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


def test_names_lose_it_and_a_number_is_none() -> None:
    redactor = Redactor(["12345678901234567890"])
    body = b'{"12345678901234567890" : 12345678901234567890, "messageId":"m"}'
    assert redactor.redact(body) == b'{"***" : 12345678901234567890, "messageId":"m"}'


def test_a_callback_without_secrets_is_not_searched_further() -> None:
    body = report('"https://x.example/callbacks/other"')
    assert not REDACTOR.finds(body)
    assert not REDACTOR.finds(b'{"callbackInfo":"s3cret","url":null}')
    assert not Redactor([]).finds(body)


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
    """Of five covers each is looked under; a text under a sixth leaves doubt."""
    text = "%"
    for _ in range(5):
        text = text.replace("%", "%25")
        assert not REDACTOR.shows(text)
    assert REDACTOR.shows(text.replace("%", "%25"))


def test_a_short_secret_is_masked_as_a_whole_segment_only() -> None:
    """`dev` in a longer word is no secret, and a masked word could not be restored."""
    redactor = Redactor(["dev"])
    body = b'{"messageId":"m","message":"see https://shop.example/deviation and https://shop.example/dev-1"}'
    assert redactor.redact(body) == body
    assert redactor.redact_anything(b"not JSON /deviation /dev") == b"not JSON /deviation /***"
    assert redactor.redact(b'["https://x.example/callbacks/dev/"]') == b'["https://x.example/callbacks/***/"]'


def percent_coded(text: str) -> str:
    return "".join(f"%{ord(letter):02x}" for letter in text)


def half_escaped(text: str) -> str:
    return "".join(
        f"\\u{ord(letter):04X}" if place % 2 or letter == "\\" else letter for place, letter in enumerate(text)
    )


COVERS: dict[str, Callable[[str], str]] = {
    "percent": percent_coded,
    "percent, upper case": lambda text: percent_coded(text).upper(),
    "entities": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "decimal entities": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "json": half_escaped,
    "javascript": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
    "javascript with braces": lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    "html": html.escape,
    "quoted": lambda text: json.dumps(text)[1:-1],
}
IN_BASE64: dict[str, Callable[[str], str]] = {
    f"{coder.__name__} {before}": lambda text, coder=coder, before=before: coder(f"{before}{text}&".encode()).decode()  # type: ignore[misc]
    for coder in (b64encode, urlsafe_b64encode)
    for before in ("", "a", "a~", "a~?")
}
SECRET = "aZ09._~-aZ09._~-~~~"  # noqa: S105 - every kind of character


@pytest.mark.parametrize("outer", COVERS)
@pytest.mark.parametrize("inner", [*COVERS, *IN_BASE64, None])
@pytest.mark.parametrize("field", ["messageId", "label", "a name"])
def test_no_mixture_of_covers_hides_a_secret_in_a_callback(outer: str, inner: str | None, field: str) -> None:
    redactor = Redactor([SECRET])
    covered = COVERS[outer]((COVERS | IN_BASE64)[inner](SECRET) if inner else SECRET)
    text = f"see {covered} there"
    pair = f'"{text}":1' if field == "a name" else f'"{field}":"{text}"'
    for body in (f'{{"price":0.0060,{pair}}}', f'{{"price":0.0060,{json.dumps({field: text})[1:-1]}}}'):
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            continue
        assert redactor.finds(body.encode())
        stored = redactor.redact(body.encode())
        assert b'"price":0.0060' in stored
        assert not redactor.shows(stored.decode())
        assert not redactor.shows(str(orjson.loads(stored)))


@pytest.mark.parametrize("cover", IN_BASE64)
@pytest.mark.parametrize("secret", [SECRET, LONG, f"/{SHORT}"])
def test_base64_hides_no_secret_wherever_it_begins_in_it(cover: str, secret: str) -> None:
    redactor = Redactor([secret.strip("/")])
    body = f'{{"messageId":"m","label":"see {IN_BASE64[cover](secret)} there"}}'.encode()
    assert redactor.finds(body)
    assert redactor.redact(body) == b'{"messageId":"m","label":"see *** there"}'
    assert redactor.redact_anything(body[:-1]) == redactor.redact(body)[:-1]


def test_the_key_of_a_callback_shows_no_secret() -> None:
    body = f'{{"messageId":"{percent_coded(SECRET)}"}}'.encode()
    assert examine(body, Redactor([SECRET])) == ("***", b'{"messageId":"***"}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"20 % off, 100 %!","url":"https:\\/\\/a.example\\/?a=1&b=2&copy=3"}',
        b'{"message":"\\u03b1\\u03b2 caf\\u00e9 \\n \\"x\\" AT&T &lt; &gt;"}',
    ],
)
def test_usual_texts_have_no_cover(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    orjson.loads(body)
    monkeypatch.setattr(Redactor, "shows", lambda *_: pytest.fail("it was looked at more closely"))
    assert not REDACTOR.finds(body)


def test_hostile_covers_cost_no_time() -> None:
    for piece in ("%25", "&amp;", "\\u005c", "c2VjcmV0", "%41", "&#x26;#x26;", "ab+/", LONG[:-1]):
        text = piece * (200_000 // len(piece))
        assert isinstance(REDACTOR.shows(text), bool)
        assert REDACTOR.redact_anything(f'"{text}"'.encode())
        assert REDACTOR.redact_anything(" ".join([b64encode(LONG.encode()).decode()] * 5_000).encode())


@pytest.mark.parametrize("cover", COVERS)
def test_base64_of_a_covered_secret_hides_it_no_better_in_a_refused_body(cover: str) -> None:
    """In a callback it is not looked for: that would cost a tenth of all that ingest does."""
    hidden = b64encode(COVERS[cover](LONG).encode()).decode()
    body = f'{{"label":"see {hidden} there"}}'.encode()
    assert REDACTOR.shows(body.decode())
    assert not REDACTOR.shows(REDACTOR.redact_anything(body).decode())


def test_ids_and_words_are_no_base64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Redactor, "shows", lambda *_: pytest.fail("it was looked at more closely"))
    for text in (
        "5b1c9f0a-0000-4000-8000-000000000001",
        "x" * 500,
        "fedcba9876543210" * 2,
        "Donaudampfschifffahrtsgesellschaft",
    ):
        assert not REDACTOR.finds(f'{{"messageId":"{text}"}}'.encode())
