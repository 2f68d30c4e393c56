"""
The archive: every record of `callbacks.raw` once, byte for byte with key, headers and time, and no erased number.
"""

import gzip
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.callback.envelope import seal
from sinks.batch import Batch, Limits
from sinks.blanking import blanked, is_covered
from sinks.erasing import Erasing, ErasingSink
from sinks.erasure import People
from sinks.files.archive import records_in
from sinks.files.erasure import FileErasure
from sinks.files.formats import FORMATS
from sinks.files.personal_rows import FileRows
from sinks.files.proof import files_of, last_files, misfit
from sinks.files.sink import FileSink
from sinks.metrics import Metrics, Readiness
from sinks.raw_callbacks import Callback, callback_in, callbacks_of, covers, erased_of, row_of, without_erased
from sinks.rejections import Flood, MemoryRejections
from sinks.source import MemoryTopics, Record, TopicPartition
from sinks.tables import FILE_TABLE_OF, RAW_CALLBACKS_TABLE, tables_by_topic
from sinks.writer import Writer
from streams.contract.erasures import Erasure, Erasures, moment_of
from streams.program.file_names import parse_name
from tests.behaviour.sinks.records import START, at
from tests.support.erasures import MARKS, erasure

RAW = TopicPartition("routee.callbacks.raw", 0)
TABLES = tables_by_topic("routee.", FILE_TABLE_OF)
MS = int(START.timestamp() * 1000)
ERASED, OTHER = "+306900000001", "+306900000002"
HEADERS = [("type", b"callbacks.raw"), ("schema", b"callbacks.raw/1"), ("odd", None), ("odd", b"\xff")]


def body(to: str, **fields: Any) -> bytes:  # noqa: ANN401 - fields of a callback
    sms = {"messageId": "m-1", "smsId": "s-1", "to": to, "message": f"Dear {to}", "label": "order 7", "price": 0.04}
    return orjson.dumps(sms | {"status": {"name": "Sent", "updatedDate": "2026-11-22T09:00:00Z"}} | fields)


def envelope(*bodies: bytes, received: int = MS, notes: dict[int, bytes] | None = None) -> bytes:
    return seal(bodies, ["key"] * len(bodies), received, notes or {}).value


def record(offset: int, value: bytes | None, timestamp: int = MS) -> Record:
    return Record(*RAW, offset, timestamp, value, b"m-1", HEADERS)


def erasures(*numbers: str, seconds: float = 1_000) -> Erasures:
    known = Erasures(MARKS)
    for number in numbers:
        known.add(erasure(number, at(seconds)))
    return known


def after(value: bytes, known: Erasures | None = None) -> tuple[bytes | None, int]:
    return without_erased(value, moment_of(MS), known or erasures(ERASED))


def orjson_text(some: bytes) -> bytes:
    return orjson.dumps(some.decode(errors="replace"))


optional_bytes = (
    st.none() | st.binary(max_size=60) | st.text(max_size=20).map(lambda text: text.encode(errors="replace"))
)
headers = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=5), optional_bytes), max_size=3)


@pytest.mark.parametrize("file_format", FORMATS)
@given(st.lists(st.tuples(optional_bytes, optional_bytes, headers, st.integers(0, 4_000_000_000_000)), min_size=1))
def test_a_record_comes_out_of_a_file_as_it_went_in(
    file_format: str, contents: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]]
) -> None:
    rows = [
        Record(RAW.topic, 3, offset, timestamp, value, key, named)
        for offset, (value, key, named, timestamp) in enumerate(contents)
    ]
    assert records_in(FORMATS[file_format](RAW_CALLBACKS_TABLE, rows), file_format, RAW.topic) == rows


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_writer_puts_every_record_into_the_archive_also_one_that_is_no_json(
    tmp_path: Path, file_format: str
) -> None:
    sink = FileSink(tmp_path, file_format, "routee.", FILE_TABLE_OF)
    sink.claim([RAW])
    rejections = MemoryRejections()
    writer = Writer(
        sink, rejections, TABLES, flood=Flood(0), metrics=Metrics(), readiness=Readiness(), sleep=lambda _: None
    )
    values = [envelope(body(OTHER)), b"", None, b"no json", b"\xff\n\x00", b'{"a":1}{"b":2}']
    batch = Batch(Limits(10, 1 << 20, 1))
    batch.add(RAW, [record(offset, value) for offset, value in enumerate(values)], 0)
    writer.write(batch)
    (file,) = files_of(tmp_path / RAW_CALLBACKS_TABLE)
    assert file.name.startswith("0-0-5.")
    found = records_in(file.read_bytes(), file_format, RAW.topic)
    assert found == [record(offset, value) for offset, value in enumerate(values)]
    assert rejections.kept == []


def test_the_archive_has_lines_that_a_person_can_read(tmp_path: Path) -> None:
    del tmp_path
    (line,) = gzip.decompress(FORMATS["ndjson"](RAW_CALLBACKS_TABLE, [record(7, envelope(body(OTHER)))])).splitlines()
    row = orjson.loads(line)
    assert (row["topic_partition"], row["topic_offset"], row["key"]) == (0, 7, "m-1")
    assert row["timestamp"] == "2026-11-22T09:00:00.000Z"
    assert row["value"].encode() == envelope(body(OTHER))


SPELLINGS = {
    "plain": body(ERASED),
    "without +": body("306900000001"),
    "with 00": body("00306900000001"),
    "with gaps": body("+30 690 000-0001"),
    "escaped +": body(ERASED).replace(b"+", b"\\u002b"),
    "escaped digits": body(ERASED).replace(b"3069", b"\\u0033\\u0030\\u0036\\u0039"),
    "a number": body(OTHER).replace(b'"%s"' % OTHER.encode(), b"306900000001"),
    "deep": body(OTHER, inner=[{"to": ERASED}]),
    "in a text": body(OTHER, message=f"call {ERASED} now"),
    "in a text with gaps": body(OTHER, message="call +30 6900 000 001, now"),
    "in a text with wide gaps": body(OTHER, message="call (+30) 690 - 000 - 0001, now"),
    "in a text with line ends": body(OTHER, message="call\n+30\t690\r\n000\n0001"),
    "in a text with dashes": body(OTHER, message="call +30\u2011690\u2013000\u20110001"),
    "in a text beside other groups": body(OTHER, message="12 0030 690 000 0001 / 210 555 0000"),
    "in percent codes": body(OTHER, url="https://example.com/?n=%33%30%36900000001"),
    "in other digits": body("+\uff13\uff10\uff16\uff19\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff11"),
    "of another name": orjson.dumps({"messageId": "m-1", "smsId": "s", "msisdn": ERASED}),
    "JSON in a text": body(OTHER, data=orjson.dumps({"to": ERASED}).decode()),
    "of a query": body(OTHER, url="https://example.com/?to=%2B306900000001"),
    "in a label": body(OTHER, label=f"customer {ERASED}"),
    "in an id": body(OTHER, smsId=f"s-{ERASED}"),
    "a name of a field": body(OTHER)[:-1] + b',"306900000001":1}',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_erased_number_is_found_in_any_spelling_and_the_others_stay_byte_for_byte(spelling: str) -> None:
    other = b'{ "messageId" : "m-2", "to":"+306900000002", "odd" : 1.50 }'
    value, count = after(envelope(other, SPELLINGS[spelling], other))
    assert count == 1
    found = callbacks_of(value)
    assert (found[0].body, found[2].body) == (other, other)
    assert not {ERASED[1:], f"00{ERASED[1:]}"} & {*found[1].recipients()}
    assert erased_of(value) == 1
    assert orjson.loads(value or b"")["erased"] == [1]
    assert after(value or b"") == (value, 0), "once is enough"


def test_all_but_number_text_and_label_of_an_erased_callback_stays() -> None:
    value, _ = after(envelope(body(ERASED)))
    (kept,) = callbacks_of(value)
    told = orjson.loads(body(ERASED))
    assert orjson.loads(kept.body) == told | {"to": None, "message": None, "label": None}
    assert orjson.loads(value or b"")["received_at"] == "2026-11-22T09:00:00.000Z"


def test_fields_of_an_envelope_that_this_version_does_not_know_stay() -> None:
    value = envelope(body(ERASED))[:-1] + b',"source":"pull"}'
    assert orjson.loads(after(value)[0] or b"")["source"] == "pull"


def test_the_bytes_of_a_repaired_callback_are_looked_at_and_go_too() -> None:
    original = b64encode(b"to=%2B306900000001&").decode()
    note = orjson.dumps({"repairs": ["cut"], "original": original})
    value, count = after(envelope(body(OTHER), body(""), notes={1: note}))
    assert count == 1
    assert orjson.loads(value or b"")["repaired"] == [{"index": 1, "repairs": ["cut"], "original": None}]
    assert b"MzA2OTAw" not in (value or b"")


@pytest.mark.parametrize("value", [b"to=+306900000001", b'{"to":"+306900000001"', b'[{"to":"306900000001"}]'])
def test_bytes_that_are_no_envelope_lose_their_value_when_they_are_covered(value: bytes) -> None:
    assert after(value) == (None, 1)
    assert after(value, erasures(OTHER)) == (value, 0)


@pytest.mark.parametrize(
    ("fields", "received", "covered"),
    [
        ({}, 0, True),
        ({}, 2_000, True),
        ({"status": {"updatedDate": "2026-11-22T09:30:00Z"}}, 2_000, False),
        ({"status": {"updatedDate": "2026-11-22T09:30:00Z"}, "latency": 60}, 2_000, False),
        ({"status": {"updatedDate": "2026-11-22T09:30:00Z"}, "latency": 1_500}, 2_000, True),
        ({"status": {"updatedDate": "2026-12-20T09:00:00Z"}, "latency": 28 * 86_400}, 2_000, True),
        ({"status": {"updatedDate": "2026-12-23T09:00:00Z"}, "latency": 31 * 86_400}, 2_000, False),
        ({"status": {"updatedDate": "2026-11-22T11:30:00+02:00"}}, 500, True),
        ({"status": {"updatedDate": "2026-11-22T11:00:00+02:00"}}, 2_000, True),
        ({"at": "2026-11-22 09:30:00Z"}, 2_000, True),
        ({"status": {}}, 2_000, False),
    ],
)
def test_an_erasure_covers_a_callback_by_its_receipt_its_dates_and_its_latency(
    fields: dict[str, Any], received: int, *, covered: bool
) -> None:
    value = envelope(body(ERASED, **fields), received=MS + received * 1000)
    assert without_erased(value, at(received), erasures(ERASED))[1] == covered


def test_a_latency_whose_name_is_written_by_its_characters_numbers_covers_a_callback() -> None:
    status = {"updatedDate": "2026-11-22T09:30:00Z"}
    value = envelope(body(ERASED, status=status, latency=1_500), received=MS + 2_000_000)
    assert without_erased(value.replace(b"latency", rb"l\u0061tency"), at(2_000), erasures(ERASED))[1] == 1


def test_callbacks_that_are_later_than_all_erasures_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(_: Callback) -> Iterator[str]:
        raise AssertionError

    monkeypatch.setattr(Callback, "recipients", search)
    value = envelope(body(ERASED), received=MS)
    assert without_erased(value, at(0), erasures(ERASED, seconds=-86_400 * 7)) == (value, 0)
    assert without_erased(value, at(0), Erasures(MARKS)) == (value, 0)
    with pytest.raises(AssertionError):
        without_erased(value, at(0), erasures(ERASED))


DATES = [
    *("2026-11-22T09:00:00Z", "2026-11-22 09:00:01", "2026-11-22T09:00:00.999999Z", "2026-11-22T23:59:59+14:00"),
    *("2026-11-21T20:00:00-12:00", "2026-11-22T09:00:00+00:00", "2026-11-22T08:00:00Z", "0001-01-01T00:00:00Z"),
    *("9999-12-31T23:59:59-23:59", "2026-11-22T09:00:00-2026-11-21T09:00:00Z", "12026-11-22T09:00:00Z", "now"),
    *("\u0662\u0660\u0662\u0666-11-21T09:00:00Z", "2026-13-01T00:00:00Z", "-11-22T09:00:00Z", "2026-11-22T25:00:00Z"),
]
LATENCIES = [
    *(b"", b',"latency":3', b',"latency": 7200', b',"latency":"7200"', b',"latency":null', b',"latency":true'),
    *(b',"latency":1e9', b',"latency":-90000', b',"latency":" 7200 "', b',"l\\u0061tency":7200', b',"latency":[7200]'),
    *(b',"latency":1,"latency":7200', b',"latency":7200,"latency":1', b',"x":{"latency":1e400}', b',"latency" :\t7200'),
]


@st.composite
def bodies_of_any_moment(draw: st.DrawFn) -> bytes:
    dates = draw(st.lists(st.sampled_from(DATES), max_size=3))
    latency, text = draw(st.sampled_from(LATENCIES)), draw(st.sampled_from(["", "-11-22", 'Say "hi"', "\u03b1"]))
    fields = b",".join(b'"date%d":%b' % (number, orjson.dumps(date)) for number, date in enumerate([*dates, text]))
    return b'{"to":"%b",%b%b}' % (ERASED.encode(), fields, latency)


@settings(max_examples=400, deadline=None)
@given(
    some=st.lists(bodies_of_any_moment() | st.binary(max_size=20).map(orjson_text), min_size=1, max_size=3),
    is_sealed=st.booleans(),
    received=st.sampled_from([-7_200, 0, 7_200]),
    chosen=st.integers(0, 2),
    seconds=st.sampled_from([-1, 0, 1]),
)
def test_a_record_that_one_look_finds_later_than_all_erasures_is_covered_by_none(
    some: list[bytes], received: int, chosen: int, seconds: int, *, is_sealed: bool
) -> None:
    value = envelope(*some, received=MS + received * 1000) if is_sealed else b"".join(some)
    found = callbacks_of(value)
    # The first moment of one of the callbacks decides, to the second.
    moments = found[chosen % len(found)].moments() or [at(received)]
    first = min(max(datetime(1, 1, 3, tzinfo=UTC), min(moments)), at(86_400)) + timedelta(seconds=seconds)
    known = Erasures(MARKS)
    known.add(Erasure(mark=MARKS.of(ERASED) or "", at=first, key_id=MARKS.key_id))
    covered = [one for one in found if covers(known, one, at(received))]
    assert without_erased(value, at(received), known)[1] == len(covered)


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-02T00:00:00-12:00"])
def test_the_first_day_of_all_is_a_moment_too(date: str) -> None:
    value = envelope(body(ERASED, status={"updatedDate": date}, latency=86_400), body(OTHER, latency=1, at=date))
    assert without_erased(value, at(0), erasures(ERASED))[1] == 1


class Folder:
    """An archive of four files, each with records of several people."""

    def __init__(self, root: Path, file_format: str) -> None:
        self.root = root
        self.format = file_format
        self.sink = FileSink(root, file_format, "routee.", FILE_TABLE_OF)
        self.sink.claim([RAW])
        self.records = [
            record(offset, envelope(body(OTHER), body(ERASED if offset % 3 == 0 else OTHER))) for offset in range(12)
        ]
        for start in range(0, 12, 3):
            self.sink.write(RAW_CALLBACKS_TABLE, self.records[start : start + 3])

    def erase(self, *numbers: str) -> int:
        known = Erasing(MARKS)
        known.add([erasure(number, at(1_000)) for number in numbers])
        return FileErasure(self.root, TABLES, lambda: self.sink.holding, self.sink.held).erase(known.known)

    def found(self) -> list[Record]:
        files = sorted(files_of(self.root / RAW_CALLBACKS_TABLE), key=lambda file: parse_name(file.name) or ())
        return [row for file in files for row in records_in(file.read_bytes(), self.format, RAW.topic)]


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(tmp_path, request.param)


def test_files_of_the_archive_are_written_anew_without_erased_people(folder: Folder) -> None:
    names = files_of(folder.root / RAW_CALLBACKS_TABLE)
    assert folder.found() == folder.records
    assert folder.erase(ERASED) == 4
    assert files_of(folder.root / RAW_CALLBACKS_TABLE) == names
    expected = [
        replace(one, value=without_erased(one.value, moment_of(MS), erasures(ERASED))[0]) for one in folder.records
    ]
    assert folder.found() == expected
    assert ERASED not in str([one.value for one in folder.found()])
    assert folder.erase(ERASED) == 0


def test_a_sink_that_knows_an_erasure_archives_without_it() -> None:
    value = envelope(body(ERASED))
    (kept,) = blanked(RAW_CALLBACKS_TABLE, [record(0, value)], erasures(ERASED))
    assert kept == record(0, after(value)[0])
    untouched = record(1, envelope(body(OTHER)))
    assert blanked(RAW_CALLBACKS_TABLE, [untouched], erasures(ERASED))[0] is untouched


def test_a_persons_callbacks_are_shown_and_those_of_others_in_the_same_envelope_are_not(folder: Folder) -> None:
    rows = FileRows(folder.root, [RAW_CALLBACKS_TABLE])
    people = People(frozenset({ERASED[1:]}))
    found = [row for _, _, row in rows.of(people.has, people.in_row)]
    assert [(row["topic_offset"], row["index"]) for row in found] == [(offset, 1) for offset in (0, 3, 6, 9)]
    assert OTHER not in str(found)
    assert all(is_covered(RAW_CALLBACKS_TABLE, row, erasures(ERASED)) for row in found)
    assert rows.without_data() == 0
    folder.erase(ERASED)
    assert [*rows.of(people.has, people.in_row)] == []
    assert rows.without_data() == 4


def test_a_row_of_a_callback_is_read_as_that_callback() -> None:
    (callback,) = callbacks_of(envelope(body(ERASED)))
    assert callback_in(row_of(record(0, b""), callback)) == callback
    assert callback_in({"body": "{}", "index": 1}) is None


def test_an_erased_archive_still_proves_to_be_of_its_topic(folder: Folder) -> None:
    topics = MemoryTopics({RAW.topic: 1})
    values = [*folder.records[:9], *(record(offset, folder.records[9].value) for offset in (9, 10, 11))]
    topics.logs[RAW] = [*values]
    folder.sink.write(RAW_CALLBACKS_TABLE, [record(12, folder.records[0].value)])
    topics.logs[RAW].append(record(12, folder.records[0].value))
    folder.erase(ERASED)
    files = last_files(folder.root / RAW_CALLBACKS_TABLE)
    assert misfit(files, RAW_CALLBACKS_TABLE, RAW.topic, topics) is None
    topics.logs[RAW][12] = record(12, folder.records[0].value, MS + 1)
    assert misfit(files, RAW_CALLBACKS_TABLE, RAW.topic, topics) is not None


def test_the_sink_that_has_the_store_erased_passes_the_archive_on(folder: Folder) -> None:
    asked: list[bool] = []
    sink = ErasingSink(folder.sink, lambda: asked.append(True))
    sink.write(RAW_CALLBACKS_TABLE, [record(12, b"x")])
    assert folder.found()[-1] == record(12, b"x")
