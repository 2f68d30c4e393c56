"""Marks of recipients, and the SMS that an erasure covers."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from streams.contract.erasures import (
    AnotherKeyError,
    Erasure,
    Erasures,
    Marks,
    NotAnErasureError,
    Reading,
    normal_form,
    recipients_in,
)

KEY = bytes(range(32))
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MARKS = Marks(KEY)
NUMBER = "+306900000001"


def erasure(recipient: str, at: datetime = NOON, marks: Marks = MARKS) -> Erasure:
    mark = marks.of(recipient)
    assert mark is not None
    return Erasure(mark=mark, at=at, key_id=marks.key_id)


def erasures(*known: Erasure) -> Erasures:
    made = Erasures(MARKS)
    for one in known:
        made.add(one)
    return made


@pytest.mark.parametrize(
    "spelling",
    [
        "+306900000001",
        "00306900000001",
        "306900000001",
        " +30 690-000.0001 ",
        "(30) 6900/000001",
        "\u200e+30 6900000001",
        "+30\u2011690\u2013000\u2212000\u00ad1",
        "\uff0b\uff13\uff10\uff08\uff16\uff19\uff10\uff09\uff10\uff10\uff10\uff0d\uff10\uff10\uff10\uff11",
        "+\u0663\u0660\u0666\u0669\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0661",
    ],
)
def test_all_spellings_of_a_number_have_one_mark(spelling: str) -> None:
    assert normal_form(spelling) == "306900000001"
    assert MARKS.of(spelling) == MARKS.of(NUMBER)


def test_the_digest_tells_erasures_apart_in_any_order() -> None:
    one, two, later = erasure(NUMBER), erasure("+306900000002"), erasure(NUMBER, NOON + HOUR)
    elsewhere = later.model_copy(update={"at": later.at.astimezone(timezone(HOUR))})
    assert erasures(one, two).digest == erasures(two, one, one).digest
    assert erasures(one, later, two).digest == erasures(later, two, one).digest == erasures(two, elsewhere).digest
    assert len({erasures(*some).digest for some in ([], [one], [two], [later], [one, two], [later, two])}) == 6


@pytest.mark.parametrize("recipient", ["", "  ", "***", "***001", "+", "00"])
def test_a_masked_or_empty_recipient_has_no_mark(recipient: str) -> None:
    assert MARKS.of(recipient) is None
    assert not erasures(erasure(NUMBER)).covers(recipient, NOON - HOUR)


def test_a_pseudonym_is_compared_as_text() -> None:
    assert normal_form(" ABCDEF0123 ") == "abcdef0123"


def test_a_mark_tells_no_number_and_another_key_gives_another_mark() -> None:
    other = Marks(bytes(32))
    assert "306900000001" not in str(MARKS.of(NUMBER))
    assert (other.of(NUMBER), other.key_id) != (MARKS.of(NUMBER), MARKS.key_id)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Marks(bytes(31))


def test_there_is_nothing_to_compare_while_there_are_no_erasures() -> None:
    assert not Erasures(MARKS)
    assert not Erasures().covers(NUMBER, NOON - HOUR)


@pytest.mark.parametrize(
    ("moments", "is_covered"),
    [
        ((NOON - HOUR,), True),
        ((NOON + HOUR, NOON - HOUR), True),
        ((NOON + HOUR, None), False),
        ((NOON,), False),
        ((None, None), False),
        ((), False),
    ],
)
def test_any_moment_before_the_erasure_is_enough(moments: tuple[datetime | None, ...], is_covered: bool) -> None:  # noqa: FBT001
    assert erasures(erasure(NUMBER)).covers("00306900000001", *moments) is is_covered


def test_another_recipient_is_not_covered() -> None:
    known = erasures(erasure(NUMBER))
    assert not known.covers("+306900000002", NOON - HOUR)
    assert not known.covers(None, NOON - HOUR)


def test_the_latest_erasure_of_a_recipient_stands_in_any_order() -> None:
    first, second = erasure(NUMBER), erasure(NUMBER, NOON + 2 * HOUR)
    for known in (erasures(first, second), erasures(second, first)):
        assert known.covers(NUMBER, NOON + HOUR)


def test_an_erasure_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(AnotherKeyError, match="ERASURE_KEY is not set"):
        Erasures().add(erasure(NUMBER))
    with pytest.raises(AnotherKeyError, match="another ERASURE_KEY"):
        erasures(erasure(NUMBER, marks=Marks(bytes(32))))


def read(*records: tuple[bytes, bytes | None]) -> list[Erasure]:
    """Return the erasures of a topic of these records, as a program that has come to its end."""
    reading = Reading("routee.erasures")
    found = [reading.read(offset, key, value) for offset, (key, value) in enumerate(records)]
    reading.check()
    return [one for one in found if one is not None]


def test_erasures_are_read_in_order_and_records_without_a_value_are_none() -> None:
    first, second = erasure(NUMBER), erasure("+306900000002")
    written = [(one.mark.encode(), one.model_dump_json().encode()) for one in (first, second)]
    assert read(written[0], (b"x", None), written[1]) == [first, second]
    later = orjson.dumps({**orjson.loads(written[0][1]), "later": [1]})
    assert read((b"x", later)) == [first]


@pytest.mark.parametrize("value", [b"", b"no JSON", b"[]", b"{}", b'{"mark": "short"}', b"\xff"])
def test_a_record_that_is_no_erasure_is_refused_until_another_one_of_its_key_follows(value: bytes) -> None:
    good = erasure(NUMBER)
    with pytest.raises(NotAnErasureError, match=r"^routee.erasures offset 1 is no erasure"):
        read((b"a", None), (b"b", value), (b"c", good.model_dump_json().encode()))
    assert read((b"b", value), (b"b", None)) == []
    assert read((b"b", value), (b"b", good.model_dump_json().encode())) == [good]


@pytest.mark.parametrize(
    "body",
    [
        b'{"to": "+306900000001"}',
        b'{"x": [{"TO": "00306900000001"}]}',
        b'{"to": 306900000001}',
        b'{"to": "\\u002b306900000001"}',
        b'{"messageId": "m", "to": "+306900000001", ',
        b"messageId=m&to=%2B306900000001",
        b"{'to': '+306900000001'}",
        b'{"body": "{\\"to\\": \\"+306900000001\\"}"}',
        b'\xff{"to":"+306900000001"}',
        b'{"to": ["+306900000002", "+306900000001"]}',
        b'{"to": [{"number": "+306900000001"}]}',
        b'{"to": 306900000001.0}',
        b'{"to": ["+306900000001", ',
        b'{"to": "+30\\t690\\/0000001", ',
        b'{"\\u0074o": "\\u0033\\u00306900000001", ',
        b'{"a": "{\\"b\\": \\"{\\\\\\"to\\\\\\": \\\\\\"\\\\\\u002B306900000001\\\\\\"}\\"}"}',
        b"%7B%22to%22%3A%22%2B306900000001%22%7D",
        b"<to>+306900000001</to>",
    ],
)
def test_a_recipient_is_found_in_a_refused_body(body: bytes) -> None:
    assert erasures(erasure(NUMBER)).covers_body(body, NOON - HOUR)
    assert not erasures(erasure(NUMBER)).covers_body(body, NOON + HOUR)


@pytest.mark.parametrize(
    "body", [b'{"message": "+306900000001"}', b'{"photo": "+306900000001"}', b"", b"\0", b"[" * 9999]
)
def test_other_bodies_stay(body: bytes) -> None:
    assert not erasures(erasure(NUMBER)).covers_body(body, NOON - HOUR)


@pytest.mark.parametrize(
    "body", [b'{"to": "\\ud800"}', b'{"to": "\\udc00306900000009", "x": NaN}', b'{"to": Infinity}']
)
def test_half_a_pair_of_surrogates_is_no_recipient_and_stops_nothing(body: bytes) -> None:
    assert not erasures(erasure(NUMBER)).covers_body(body, NOON - HOUR)


def test_no_body_is_too_deep_to_look_through() -> None:
    assert [*recipients_in(b'{"a":' * 5000 + b'{"to": "1"}' + b"}" * 5000)] == ["1"]
