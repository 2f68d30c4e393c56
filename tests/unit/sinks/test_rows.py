"""
Which records can be written to a table at all.
"""

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.rows import sort_out, with_position
from tests.unit.sinks.records import record


@pytest.mark.parametrize("value", [b'{"a":1}', b"{}", b' {"a":1}\n', b'{"a":\n1}'])
def test_an_object_is_a_row(value: bytes) -> None:
    parts = sort_out([record(0, value)])
    assert (len(parts.rows), parts.unusable, parts.empty) == (1, [], 0)


@pytest.mark.parametrize("value", [None, b""])
def test_a_tombstone_has_no_row(value: bytes | None) -> None:
    parts = sort_out([record(0, value)])
    assert (parts.rows, parts.unusable, parts.empty) == ([], [], 1)


@pytest.mark.parametrize(
    "value", [b"not json", b"[1,2]", b'"text"', b'{"a":1', b'{"a":1},', b"\x00\x01", b" ", b"1", b"}"]
)
def test_any_other_value_is_unusable(value: bytes) -> None:
    parts = sort_out([record(0, value)])
    assert (parts.rows, len(parts.unusable), parts.empty) == ([], 1, 0)


@pytest.mark.parametrize("between", [b"", b" ", b"\n", b",", b" ,\r\n\t"], ids=repr)
def test_two_objects_are_no_row(between: bytes) -> None:
    """ClickHouse would take them for two rows."""
    parts = sort_out([record(0, b'{"a":{"b":1}}%b{"a":2}' % between)])
    assert (parts.rows, len(parts.unusable)) == ([], 1)


@pytest.mark.parametrize("text", ["}{", "}, {", "};", "} x", '}"{', "}\n{"])
def test_braces_in_a_text_are_text(text: str) -> None:
    value = orjson.dumps({"message": text, "counts": {"Sent": 1}, "last": {}})
    assert len(sort_out([record(0, value)]).rows) == 1


@pytest.mark.parametrize(
    "inside",
    [b"}" + b" " * 900_000, b"} " * 450_000, b"}," * 450_000, b"}" + b" ," * 450_000, b"}{" * 450_000],
    ids=["spaces", "closed", "closed, commas", "spaces, commas", "objects"],
)
def test_a_forged_value_costs_no_more_time_than_its_length(inside: bytes) -> None:
    """A sender of callbacks may choose the bytes, and the thread that writes looks at all of them."""
    began = time.thread_time()
    sort_out([record(0, b"{" + inside + b"}")])
    assert time.thread_time() - began < 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_json_object_is_a_row(found: dict[str, object]) -> None:
    try:
        value = orjson.dumps(found)
    except orjson.JSONEncodeError:
        return  # text with half a surrogate pair cannot be JSON
    assert len(sort_out([record(0, value)]).rows) == 1


def test_order_is_kept() -> None:
    parts = sort_out([record(1), record(2, None), record(3, b"x"), record(4)])
    assert [row.offset for row in parts.rows] == [1, 4]


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=4), st.sampled_from([b"", b" ", b"\n"])
)
def test_a_row_with_its_position_is_the_same_object_with_two_more_fields(
    found: dict[str, object], space: bytes
) -> None:
    try:
        value = space + orjson.dumps(found) + space
    except (TypeError, orjson.JSONEncodeError):  # numbers and characters that JSON does not have
        return
    line = with_position(record(17, value, partition=3))
    assert orjson.loads(line) == {**orjson.loads(value), "topic_partition": 3, "topic_offset": 17}
