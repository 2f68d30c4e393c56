"""A refused body is kept whole, as text where that is possible and not much longer."""

from base64 import b64decode

import orjson
import pytest

from streams.contract.records import Reason, RefusedBy, Rejection
from streams.contract.refused import rejection_record, text_or_base64


@pytest.mark.parametrize(
    ("value", "most_json_bytes", "is_text"),
    [
        (b"", 2, True),
        (b"plain", 7, True),
        (b"plain", 6, False),
        ("Γειά σου".encode(), 100, True),
        (b"\xff\xfe", 100, False),
        (b"\0" * 10, 62, True),
        (b"\0" * 10, 61, False),
    ],
)
def test_bytes_are_text_when_they_are_utf8_and_no_longer_than_they_may_be_as_json(
    value: bytes, most_json_bytes: int, is_text: object
) -> None:
    text, base64 = text_or_base64(value, most_json_bytes)
    assert (text is not None) is is_text
    assert (text.encode() if text is not None else b64decode(base64 or "")) == value
    assert (text is None) is (base64 is not None)


@pytest.mark.parametrize("place", [None, (1, 2, 3)])
def test_a_rejection_has_the_fields_of_the_contract(place: tuple[int, int, int] | None) -> None:
    record = rejection_record(
        b"{}",
        by=RefusedBy.INGEST,
        reason=Reason.NOT_OBJECT,
        detail="expected an object",
        received_at_ms=1_795_338_000_000,
        most_json_bytes=100,
        place=place,
    )
    assert record.keys() == Rejection.model_fields.keys()
    rejection = Rejection.model_validate(orjson.loads(orjson.dumps(record)))
    assert (rejection.partition, rejection.offset, rejection.index) == (place or (None, None, None))
