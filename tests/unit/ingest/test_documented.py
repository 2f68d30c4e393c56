"""The quick reader takes the documented form of callbacks, and nothing that the patient one would judge otherwise."""

import random
from itertools import product
from pathlib import Path

import msgspec
import orjson
import pytest

from ingest.callback.documented import NOT_DOCUMENTED, DocumentedSms, read_documented
from ingest.callback.nesting import MAX_DEPTH
from streams.contract.keys import callback_key
from streams.domain.routee.wire import PlainSms
from tests.bench import ingest_load
from tests.support.mutation import mutated

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("case[23]*.json"))
BODY = SAMPLES[0].read_bytes()
LEVELS = 1024 - MAX_DEPTH
"""The levels that orjson reads besides those of a callback."""


def key_of(body: bytes) -> str | None:
    try:
        return read_documented(body).messageId
    except NOT_DOCUMENTED:
        return None


def assert_taken_by_orjson(body: bytes, key: str) -> None:
    assert callback_key(orjson.loads(body)) == key
    orjson.loads(b"[" * LEVELS + body + b"]" * LEVELS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_documented_callbacks_are_read(sample: Path) -> None:
    assert key_of(sample.read_bytes()) == orjson.loads(sample.read_bytes())["messageId"]


def test_the_callbacks_of_the_benchmark_are_read() -> None:
    assert key_of(ingest_load.body(b"key-of-it-000001")) == "key-of-it-000001"


def test_the_fields_are_those_that_streams_reads_quickly() -> None:
    absent = {field.encode_name for field in msgspec.structs.fields(PlainSms) if field.type is msgspec.UnsetType}
    assert {*DocumentedSms.__struct_encode_fields__} == {*PlainSms.__struct_encode_fields__} - absent


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_body_that_is_read_is_taken_by_orjson_with_the_same_key(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed that repeats
    taken = 0
    for _ in range(2_000):
        body = mutated(chance, chance.choice(SAMPLES).read_bytes())
        if (key := key_of(body)) is not None:
            assert_taken_by_orjson(body, key)
            taken += 1
    assert taken > 500


VALUES = [
    *(b"1e999", b"-1e999", b"1E+400", b"9" * 400, b"-" + b"9" * 400, b"0." + b"1" * 400, b"1e-999", b"9" * 25),
    *(b"01", b"-", b"1.", b".5", b"+1", b"NaN", b"Infinity", b"true", b"null", b"-0", b"1.5e3", b"0x10", b"1_0"),
    *(b'"\xff"', b'"\xed\xa0\xbd\xed\xb8\x80"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"', b'"\xce"', b'"\xce\xb1"'),
    *(rb'"\ud83d"', rb'"\ude00"', rb'"\ud83d\ude00"', rb'"\ud83dx"', rb'"\u12"', rb'"\x41"', rb'"\'"', rb'"\/"'),
    *(b'"a\nb"', b'"a\x00b"', b'"a\x7fb"', b'"a', b"'a'", b'""', b'"' + b"k" * 256 + b'"', b'"' + b"k" * 257 + b'"'),
    *(b"[]", b'["a"]', b'["a",]', b"[1e999]", b'["\xff"]', b"{}", b'{"name":"a"}', b'{"name":1e999}', b'{"x":1e999}'),
    *(b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300, b"[" * 100_000, b"", b"1 1", b"{}{}", b'""\xc2\xa0'),
]


@pytest.mark.parametrize("name", [*DocumentedSms.__struct_encode_fields__, "reason", "unknown", "\xff"])
def test_an_odd_value_is_read_as_orjson_reads_it_or_not_at_all(name: str) -> None:
    for value, first in product(VALUES, (True, False)):
        field = b'"%b":%b' % (name.encode("latin-1"), value)
        key = b'"messageId":"key-of-it-000001"'
        body = b"{%b}" % b",".join([field, key] if first else [key, field])
        if (found := key_of(body)) is not None:
            assert_taken_by_orjson(body, found)


@pytest.mark.parametrize(
    "around", [b" \r\n\t%b \r\n\t", b"\xef\xbb\xbf%b", b"%b\x00", b"%b%b", b"[%b]", b"%b,", b"\x0b%b", b"%b\xc2\xa0"]
)
def test_bytes_around_a_body_are_white_space_or_not_read(around: bytes) -> None:
    body = around.replace(b"%b", BODY)
    if (found := key_of(body)) is not None:
        assert_taken_by_orjson(body, found)


def test_only_the_white_space_of_json_is_read_around_a_body() -> None:
    assert key_of(b" \r\n\t" + BODY + b" \r\n\t") == key_of(BODY)


def test_a_body_with_any_other_field_is_left_to_the_patient_reader() -> None:
    for place in ("", "status", "status.reason"):
        document = orjson.loads(BODY)
        inner = document
        for name in filter(None, place.split(".")):
            inner = inner[name]
        inner["unknown"] = 1
        assert key_of(orjson.dumps(document)) is None
