"""The tolerant scanner: all of JSON as it stands, and nearly JSON in bounded time."""

import json
import time
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.callback.scanner import Scanned, scan
from streams.contract.records import Repair

DEEP = 250
FAULTS = {Repair.CUT, Repair.DAMAGED}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.text()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)
NEARLY_JSON = st.lists(
    st.sampled_from(
        [
            *"{}[]\":,\\/*' \n\t\0x",
            '"a"',
            '"a":',
            "true",
            "nul",
            "1e9",
            "-",
            "NaN",
            "\\ud83d",
            "\\u12",
            "\\'",
            "/*",
            "//",
            "\ufeff",
        ]
    )
    | st.text(max_size=2),
    max_size=40,
).map("".join)


def told(scanned: Scanned) -> dict[str, Any]:
    return {name: orjson.loads(value) for name, value in scanned.members}


@settings(max_examples=300)
@given(OBJECTS, st.booleans(), st.integers(0, 3))
def test_every_valid_object_comes_out_as_it_stands(document: dict[str, Any], ascii_only: bool, indent: int) -> None:  # noqa: FBT001
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent or None)
    scanned = scan(text, 0, DEEP)
    assert told(scanned) == orjson.loads(text)
    assert (scanned.repairs, scanned.end) == (set(), len(text))


@pytest.mark.parametrize(
    "value",
    ["0.00600000", "1E-3", "-0", "123456789012345678901234567890", '"\\u0041\\/\\ud83d\\ude00"', "[1 , 2]", "-0.0e+10"],
)
def test_a_number_and_a_text_keep_their_spelling(value: str) -> None:
    ((_, found),) = scan(f'{{"a":{value}}}', 0, DEEP).members
    assert found == value.replace(" ", "")


@settings(max_examples=1_000)
@given(NEARLY_JSON)
def test_nearly_json_never_raises_and_gives_json_that_every_reader_takes(text: str) -> None:
    scanned = scan("{" + text, 0, 4)
    for name, value in scanned.members:
        assert orjson.loads(value) == json.loads(value)
        name.encode()
    assert 1 <= scanned.end <= len(text) + 1


@settings(max_examples=200)
@given(OBJECTS, st.data())
def test_a_cut_object_gives_the_members_before_the_cut(document: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(document)
    scanned = scan(text[: data.draw(st.integers(1, len(text) - 1))], 0, DEEP)
    assert scanned.repairs & FAULTS == {Repair.CUT}
    found = told(scanned)
    assert list(found.items()) == list(document.items())[: len(found)]


@settings(max_examples=300)
@given(OBJECTS.filter(bool), st.data())
def test_a_change_in_one_character_loses_nothing_before_the_member_in_front_of_it(
    document: dict[str, Any], data: st.DataObject
) -> None:
    """The last member before the damage may be left out, since the damage may begin there."""
    text = json.dumps(document)
    place = data.draw(st.integers(1, len(text) - 1))
    scanned = scan(text[:place] + data.draw(st.sampled_from('{}[]":,\\x')) + text[place + 1 :], 0, DEEP)
    whole = scan(text[:place], 0, DEEP).members[:-1]
    assert scanned.members[: len(whole)] == whole


@pytest.mark.parametrize(
    ("value", "read_as", "repair"),
    [
        ("007", "007", Repair.VALUE),
        ("+1", "+1", Repair.VALUE),
        (".5", ".5", Repair.VALUE),
        ("1.", "1.", Repair.VALUE),
        ("True", True, Repair.VALUE),
        ("None", None, Repair.VALUE),
        ("NaN", None, Repair.VALUE),
        ("-Infinity", None, Repair.VALUE),
        ("1e999", None, Repair.VALUE),
        ("9" * 500, None, Repair.VALUE),
        ("fast", None, Repair.VALUE),
        ("", None, Repair.VALUE),
        ("[1,,2,]", [1, 2], Repair.SYNTAX),
        ("[,1]", [1], Repair.SYNTAX),
        ("/* a */ 1 // b\n", 1, Repair.SYNTAX),
        ("/***/ 1 /* * / ** */\n/**/", 1, Repair.SYNTAX),
        ("\u00a01\ufeff", 1, Repair.SYNTAX),
        ("'it\\'s \"x\"'", 'it\'s "x"', Repair.QUOTES),
        ("{b:1}", {"b": 1}, Repair.QUOTES),
        ('"say "hi", now"', 'say "hi", now', Repair.QUOTES),
        ('"a\nb\x00\t"', "a\nb\x00\t", Repair.CONTROL_CHARACTER),
        ('"\\x41\\q"', "A\\q", Repair.ESCAPE),
        ('"a\\ud83d"', "a\ufffd", Repair.REPLACED),
        ('"\\ude00\\ud83d"', "\ufffd\ufffd", Repair.REPLACED),
        ('"\\ud83d\\ud83d\\ude00"', "\ufffd😀", Repair.REPLACED),
        ('"\\u12"', "\ufffd", Repair.REPLACED),
        ('"\\\\ud83d"', "\\ud83d", None),
        ("[[[1]]]", [[None]], Repair.TOO_DEEP),
        ('[[["]}",{"x":[]}]]]', [[None]], Repair.TOO_DEEP),
    ],
)
def test_a_value_is_repaired_and_the_next_one_is_read(value: str, read_as: object, repair: Repair | None) -> None:
    scanned = scan(f'{{"a":{value},"b":2}}', 0, 3)
    assert told(scanned) == {"a": read_as, "b": 2}
    assert repair is None or repair in scanned.repairs
    assert not scanned.repairs & FAULTS


@pytest.mark.parametrize(
    ("text", "told_of", "rest"),
    [
        ('{"a":1,"b":', {"a": 1}, ',"b":'),
        ('{"a":1,"b":2', {"a": 1}, ',"b":2'),
        ('{"a":1,"b":"2"', {"a": 1, "b": "2"}, ""),
        ('{"a":1,"b":{"c":2}', {"a": 1, "b": {"c": 2}}, ""),
        ('{"a":1,"b":{"c":2', {"a": 1}, ',"b":{"c":2'),
        ('{"a":1,"b":[1}', {"a": 1}, ',"b":[1}'),
        ('{"a":[1] "b":2}', {"a": [1]}, ' "b":2}'),
        ('{"a":[],"b":3,5,"c":1}', {"a": []}, ',"b":3,5,"c":1}'),
        ('{"a":[],"b":"x","c","d":1}', {"a": []}, ',"b":"x","c","d":1}'),
        ("{", {}, ""),
    ],
)
def test_behind_a_fault_nothing_is_read(text: str, told_of: dict[str, Any], rest: str) -> None:
    scanned = scan(text, 0, DEEP)
    assert told(scanned) == told_of
    assert text[scanned.end :] == rest
    assert scanned.repairs & FAULTS


UNITS = [
    "{",
    "[",
    '"',
    '","',
    "\\",
    "\\q",
    '"a":1,',
    "a:1,",
    ",",
    "/*",
    "/**/",
    "//\n",
    "'",
    "\\ud83d",
    '{"a":',
    "9",
    "\u00a0",
]


@pytest.mark.parametrize("head", ["{", '{"a":"', '{"a":['])
@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_the_length_and_with_nothing_else(head: str, unit: str) -> None:
    """Eight times the text takes about eight times as long: work that grew faster would take 64 times."""

    def seconds(size: int) -> float:
        text = head + unit * (size // len(unit))
        times = []
        for _ in range(3):
            begun = time.process_time()
            scan(text, 0, DEEP)
            times.append(time.process_time() - begun)
        return min(times)

    assert seconds(64_000) < 24 * seconds(8_000) + 0.02


@pytest.mark.parametrize("unit", UNITS)
def test_memory_grows_with_the_length_and_with_nothing_else(unit: str) -> None:
    text = '{"a":[' + unit * (50_000 // len(unit))
    tracemalloc.start()
    scan(text, 0, DEEP)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * len(text)
