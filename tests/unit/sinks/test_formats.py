"""
A row that does not fit its columns is refused as bad data, by any of the errors of Arrow.
"""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest

from sinks.errors import PermanentError, RetryableError
from sinks.files.columns import POSITION, SCHEMAS
from sinks.files.formats import parquet
from sinks.files.sink import FileSink
from sinks.source import TopicPartition
from streams.contract.codec import format_time
from tests.behaviour.sinks.records import campaign
from tests.support.clocks import statuses_of_every_clock
from tests.unit.sinks.records import TOPIC, record


@pytest.mark.parametrize("number", [True, 2**63])
def test_a_wrong_count_is_refused_and_does_not_end_the_program(number: object) -> None:
    row = {**campaign("one").model_dump(mode="json"), "drift": {"Delivered": number}}
    with pytest.raises(PermanentError):
        parquet("campaign_progress", [record(0, orjson.dumps(row))])


def test_times_of_any_clock_are_in_a_file_as_they_are() -> None:
    statuses = [*statuses_of_every_clock()]
    data = parquet("sms_status", [record(0, orjson.dumps(status)) for status in statuses])
    found = pa.parquet.read_table(pa.BufferReader(data)).to_pylist()
    for status, row in zip(statuses, found, strict=True):
        for name in ("first_received_at", "received_at", "status_updated_at", "queued_at", "sent_at", "final_at"):
            assert (row[name] and format_time(row[name])) == status[name]


@pytest.mark.parametrize("error", [MemoryError(), pa.ArrowMemoryError("malloc of size 4096 failed")], ids=repr)
@pytest.mark.parametrize("call", ["to_table", "pyarrow.parquet.write_table"])
def test_rows_are_not_refused_because_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: MemoryError
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"sinks.files.formats.{call}", fail)
    sink = FileSink(tmp_path, "parquet", "routee.")
    sink.claim([TopicPartition(TOPIC, 0)])
    with pytest.raises(RetryableError, match=r"^no memory for a file of 1 rows of sms_status$"):
        sink.write("sms_status", [record(0)])


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_column_but_positions_and_times_has_a_dictionary(table: str) -> None:
    """Also the columns within lists and maps, which Parquet names by a path."""
    row: dict[str, Any] = {name: None for name in SCHEMAS[table].names if name not in POSITION}
    row |= {name: one for name, one in {"routes": [["GR", "Cosmote"]], "groups": ["vip"]}.items() if name in row}
    row |= {one.name: {"Sent": 1} for one in SCHEMAS[table] if pa.types.is_map(one.type)}
    file = pa.parquet.ParquetFile(pa.BufferReader(parquet(table, [record(at, orjson.dumps(row)) for at in range(2)])))
    group = file.metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    plain = {one.path_in_schema for one in columns if "RLE_DICTIONARY" not in one.encodings}
    assert plain == {one.name for one in SCHEMAS[table] if one.name in POSITION or pa.types.is_timestamp(one.type)} | {
        one.path_in_schema for one in columns if one.physical_type == "BOOLEAN"
    }
