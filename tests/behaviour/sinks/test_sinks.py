"""
The promises of every sink, tried on each: memory, ClickHouse's own engine, Parquet and NDJSON files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import duckdb
import pytest

from sinks.clickhouse.client import connect
from sinks.clickhouse.sink import ClickHouseSink
from sinks.errors import PermanentError
from sinks.files.sink import FileSink
from sinks.settings import SinksSettings
from sinks.sink import MemorySink, Sink
from sinks.source import Record, TopicPartition
from streams.contract.codec import encode
from tests.behaviour.sinks.records import campaign, rejection, sms

TOPICS = {
    "sms_status": "routee.sms.status",
    "campaign_progress": "routee.campaign.progress",
    "rejected_callbacks": "routee.callbacks.rejected",
}


class Store(Protocol):
    """A sink with a way to look into its store."""

    def open(self) -> Sink: ...
    def keys(self, table: str) -> list[str]: ...


class InMemory:
    def __init__(self) -> None:
        self.sink = MemorySink()

    def open(self) -> Sink:
        self.sink.refused = {row("sms_status", 0, b'{"broken":').value or b""}
        return self.sink

    def keys(self, table: str) -> list[str]:
        return [str(offset) for _, _, offset in sorted(self.sink.tables.get(table, {}))]


class InClickHouse:
    def __init__(self, settings: SinksSettings) -> None:
        self.settings = settings

    def open(self) -> Sink:
        return ClickHouseSink(connect(self.settings))

    def keys(self, table: str) -> list[str]:
        column = {"sms_status": "sms_key", "campaign_progress": "campaign_tracking_id", "rejected_callbacks": "detail"}[
            table
        ]
        clickhouse = connect(self.settings)
        query = f"SELECT {column} FROM {table} FINAL ORDER BY length({column}), {column}"  # noqa: S608 - names of ours
        rows = clickhouse.rows(query)
        clickhouse.close()
        return [row[0].rpartition("-")[2] for row in rows]


class InFiles:
    def __init__(self, root: Path, file_format: str) -> None:
        self.root, self.format = root, file_format

    def open(self) -> Sink:
        return FileSink(self.root, self.format, "routee.")

    def keys(self, table: str) -> list[str]:
        pattern, reader = {"parquet": ("*.parquet", "read_parquet"), "ndjson": ("*.ndjson.gz", "read_json")}[
            self.format
        ]
        if not list((self.root / table).glob(f"date=*/{pattern}")):
            return []
        files = f"{reader}('{self.root}/{table}/date=*/{pattern}')"
        query = f"SELECT topic_offset FROM {files} ORDER BY topic_partition, topic_offset"  # noqa: S608 - names of ours
        return [str(offset) for (offset,) in duckdb.connect().execute(query).fetchall()]


@pytest.fixture(params=["memory", "clickhouse", "parquet", "ndjson"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "memory":
            return InMemory()
        case "clickhouse":
            request.getfixturevalue("tables")
            return InClickHouse(request.getfixturevalue("settings"))
        case name:
            return InFiles(tmp_path, name)


@pytest.fixture
def sink(store: Store) -> Iterator[Sink]:
    opened = store.open()
    opened.claim(TopicPartition(topic, 0) for topic in TOPICS.values())
    yield opened
    opened.close()


def row(table: str, offset: int, value: bytes) -> Record:
    return Record(TOPICS[table], 0, offset, 1_795_000_000_000, value)


MAKERS: dict[str, Callable[[int], bytes]] = {
    "sms_status": lambda n: encode(sms(f"sms-{n}")),
    "campaign_progress": lambda n: encode(campaign(f"campaign-{n}")),
    "rejected_callbacks": lambda n: encode(rejection(offset=n, detail=f"nr-{n}")),
}


def rows(table: str, *offsets: int) -> list[Record]:
    return [row(table, offset, MAKERS[table](offset)) for offset in offsets]


@pytest.mark.parametrize("table", TOPICS)
def test_rows_are_in_the_store_when_write_returns(store: Store, sink: Sink, table: str) -> None:
    sink.write(table, rows(table, 0, 1, 2))
    sink.write(table, rows(table, 3))
    assert store.keys(table) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("table", TOPICS)
def test_rows_that_are_written_again_end_as_if_written_once(store: Store, sink: Sink, table: str) -> None:
    sink.write(table, rows(table, 0, 1, 2))
    sink.write(table, rows(table, 1, 2, 3))
    sink.write(table, rows(table, 0, 1, 2, 3))
    assert store.keys(table) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("table", TOPICS)
def test_rows_that_a_successor_writes_again_end_as_if_written_once(store: Store, sink: Sink, table: str) -> None:
    sink.write(table, rows(table, 0, 1, 2))
    sink.close()
    successor = store.open()
    (position,) = successor.claim([TopicPartition(TOPICS[table], 0)]).values()
    assert position in {None, 3}
    successor.write(table, [row for row in rows(table, 0, 1, 2, 3, 4) if row.offset >= (position or 0)])
    successor.close()
    assert store.keys(table) == ["0", "1", "2", "3", "4"]


def test_a_row_at_fault_is_told_and_the_others_can_be_written_without_it(store: Store, sink: Sink) -> None:
    bad = row("sms_status", 2, b'{"broken":')
    good = rows("sms_status", 0, 1, 3)
    with pytest.raises(PermanentError):
        sink.write("sms_status", [*good[:2], bad, *good[2:]])
    sink.write("sms_status", good[:2])
    with pytest.raises(PermanentError):
        sink.write("sms_status", [bad])
    sink.write("sms_status", good[2:])
    assert store.keys("sms_status") == ["0", "1", "3"]


def test_gaps_in_the_offsets_are_no_gaps_in_the_rows(store: Store, sink: Sink) -> None:
    sink.write("sms_status", rows("sms_status", 5, 9))
    sink.write("sms_status", rows("sms_status", 17))
    assert store.keys("sms_status") == ["5", "9", "17"]


def test_a_partition_can_be_given_back_and_taken_on_again(store: Store, sink: Sink) -> None:
    partition = TopicPartition(TOPICS["sms_status"], 0)
    sink.write("sms_status", rows("sms_status", 0))
    sink.release([partition])
    assert sink.claim([partition])[partition] in {None, 1}
    sink.write("sms_status", rows("sms_status", 1))
    assert store.keys("sms_status") == ["0", "1"]


def test_fields_of_a_newer_version_are_no_fault(store: Store, sink: Sink) -> None:
    value = MAKERS["sms_status"](0)[:-1] + b',"added_later":{"a":[1]}}'
    sink.write("sms_status", [row("sms_status", 0, value)])
    assert store.keys("sms_status") == ["0"]
