"""A callback out of its record."""

import orjson

from console.live.callbacks import _callback

ENVELOPE = orjson.dumps(
    {"callbacks": [{"messageId": "a"}, {"messageId": "b"}], "repaired": [{"index": 1, "repairs": ["quotes"]}]}
)


def test_a_callback_has_its_own_repairs_only() -> None:
    first, second = (_callback("topic", True, ENVELOPE, 0, index) for index in (0, 1))  # noqa: FBT003 - as it is asked
    assert first is not None
    assert second is not None
    assert (first.body, first.repairs) == (b'{"messageId":"a"}', ())
    assert (second.body, second.repairs) == (b'{"messageId":"b"}', ("quotes",))


def test_a_record_of_another_offset_or_a_place_that_is_none_has_no_callback() -> None:
    assert _callback("topic", False, ENVELOPE, 0, 0) is None  # noqa: FBT003 - as it is asked
    assert [_callback("topic", True, ENVELOPE, 0, index) for index in (-1, 2)] == [None, None]  # noqa: FBT003
