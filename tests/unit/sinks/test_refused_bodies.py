"""Refused bodies go to a store without what streams would not let through."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from sinks.batch import Batch, Limits
from sinks.files.proof import misfit
from sinks.files.sink import FileSink
from sinks.metrics import Metrics, Readiness
from sinks.refused_bodies import redacted
from sinks.rejections import Flood, MemoryRejections
from sinks.sink import MemorySink
from sinks.source import MemoryTopics, Record, TopicPartition
from sinks.writer import Writer
from streams.contract.codec import encode
from streams.program.file_names import parse_name
from tests.behaviour.sinks.records import rejection

_BODY = b'{"to":"+306900000001","message":"I am ill"}'
_TOPIC = "routee.callbacks.rejected"


def record(value: bytes) -> Record:
    return Record(_TOPIC, 0, 0, 0, value)


def of_ingest(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any value of a rejection
    refused = rejection(stage="ingest", partition=None, offset=None, index=None, body=_BODY.decode())
    return {**orjson.loads(encode(refused)), **fields}


def stored(rejected: object) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(redacted(record(orjson.dumps(rejected))).value or b"")
    return told


def test_a_body_that_ingest_refused_is_stored_without_number_and_text() -> None:
    found = stored(of_ingest())
    assert orjson.loads(found["body"]) == {"to": None, "message": None}
    assert found == of_ingest(body=found["body"], redacted=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"body": '{"to":"+306900000001"'},
        {"body": "+306900000001 says hello"},
        {"body": None, "body_base64": b64encode(b"\xff+306900000001").decode()},
    ],
    ids=repr,
)
def test_of_a_body_that_cannot_be_parsed_reason_and_place_are_stored(fields: dict[str, Any]) -> None:
    assert stored(of_ingest(**fields)) == of_ingest(body="", body_base64=None, redacted=True)
    told = {**of_ingest(**fields), "stage": "streams", "partition": 0, "offset": 7, "index": 1}
    assert stored(told) == {**told, "body": "", "body_base64": None, "redacted": True}


def test_a_body_that_streams_refused_is_stored_as_its_settings_left_it() -> None:
    of_streams = record(encode(rejection(body=_BODY.decode())))
    assert redacted(of_streams) is of_streams


def test_a_body_that_an_earlier_version_of_streams_refused_is_redacted() -> None:
    told = orjson.loads(encode(rejection(body=_BODY.decode())))
    del told["redacted"]
    assert b"6900" not in (redacted(record(orjson.dumps(told))).value or b"")


@pytest.mark.parametrize(
    "value", [None, b"", b"[]", b"7", b"{}", b'{"body":7}', b'{"body":null,"body_base64":"?","stage":1}', b"{"]
)
def test_any_other_record_is_left_to_the_store(value: bytes | None) -> None:
    other = Record(_TOPIC, 0, 0, 0, value)
    assert redacted(other) is other


def test_neither_the_store_nor_its_rejections_get_more() -> None:
    sink, rejections = MemorySink(), MemoryRejections()
    sink.refused.add(redacted(record(orjson.dumps(of_ingest(detail="bad")))).value or b"")
    writer = Writer(
        sink,
        rejections,
        {_TOPIC: "rejected_callbacks"},
        flood=Flood(9),
        metrics=Metrics(),
        readiness=Readiness(),
        refine={"rejected_callbacks": redacted},
    )
    batch = Batch(Limits(rows=9, nbytes=1 << 20, seconds=1))
    records = [replace(record(orjson.dumps(of_ingest())), offset=0)]
    records.append(replace(record(orjson.dumps(of_ingest(detail="bad"))), offset=1))
    batch.add(TopicPartition(_TOPIC, 0), records, now=0)
    writer.write(batch)
    assert len(rejections.kept) == len(sink.tables["rejected_callbacks"]) == 1
    assert b"6900" not in repr((rejections.kept, sink.tables)).encode()


@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
def test_files_fit_their_topic_whatever_the_setting_was(file_format: str, tmp_path: Path) -> None:
    topics = MemoryTopics({_TOPIC: 1})
    kept = topics.append(_TOPIC, 0, orjson.dumps(of_ingest()))
    sink = FileSink(tmp_path, file_format, "routee.")
    sink.claim([TopicPartition(_TOPIC, 0)])
    sink.write("rejected_callbacks", [redacted(kept)])
    (file,) = [file for file in (tmp_path / "rejected_callbacks").glob("date=*/*") if parse_name(file.name)]
    assert misfit({0: file}, "rejected_callbacks", _TOPIC, topics) is None
