from zlib import crc32

import pytest

from streams.contract.keys import KEY_MAX_CHARS, NIL_ID, callback_key, partition_of

_NO_IDS = (" ", "null", "0", "N/A", NIL_ID)


@pytest.mark.parametrize(
    ("callback", "key"),
    [
        ({"messageId": "m", "trackingId": "t"}, "m"),
        ({"trackingId": "t"}, "t"),
        ({"messageId": "", "trackingId": "t"}, "t"),
        ({"messageId": None, "trackingId": "t"}, "t"),
        ({"messageId": 7}, None),
        ({"messageId": ["m"]}, None),
        ({"messageId": "m" * KEY_MAX_CHARS}, "m" * KEY_MAX_CHARS),
        ({"messageId": "m" * (KEY_MAX_CHARS + 1)}, None),
        ({}, None),
        *(({name: no_id}, None) for name in ("messageId", "trackingId") for no_id in _NO_IDS),
        *(({"messageId": no_id, "trackingId": "t"}, "t") for no_id in _NO_IDS),
    ],
)
def test_the_key_is_the_message_id_else_the_tracking_id(callback: dict[str, object], key: str | None) -> None:
    assert callback_key(callback) == key


def test_the_key_keeps_the_case_it_came_in() -> None:
    assert callback_key({"messageId": "AbC"}) == "AbC"


def test_the_partition_is_the_crc32_of_the_key_in_lower_case() -> None:
    assert partition_of("ABC-1", 8) == crc32(b"abc-1") % 8


def test_the_partition_does_not_depend_on_case() -> None:
    assert partition_of("5B1C9F0A", 32) == partition_of("5b1c9f0a", 32)


def test_known_partitions_stay_where_they_are() -> None:
    """Changing the partitioner would split messages that are already in the topic."""
    keys = ("9571ef84-6e34-4601-ba3c-7a5748bc8e7f", "6ab6a203-bb5e-4cb6-964c-bd3e3fa1602a", "ελ")
    assert [partition_of(key, 8) for key in keys] == [crc32(key.encode()) % 8 for key in keys] == [5, 1, 6]
