"""
The cost of a row in a sink in instructions of the processor, counted by valgrind as `instructions` does.

`python -m tests.bench.sink_instructions` counts what a process does itself: from the bytes of Kafka's answers, as they
come from a socket, to the bytes for the store. Kafka, ClickHouse and the socket are stand-ins; files are written. One
thread does it all: the threads of a process wait for each other, which is not counted.
"""

import argparse
import struct
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kafka.protocol.consumer.fetch import FetchRequest, FetchResponse
from kafka.protocol.parser import KafkaProtocol
from kafka.record import MemoryRecords

from sinks.batch import Batch, Limits
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import copies_of, objects_of
from sinks.clickhouse.sink import INBOX_OF, ClickHouseSink
from sinks.files.sink import FileSink
from sinks.kafka import private_names
from sinks.kafka.large_reads import LargeAnswer
from sinks.kafka.record_batches import QuickRecords
from sinks.metrics import Metrics, Readiness
from sinks.rejections import Flood, MemoryRejections
from sinks.settings import SinksSettings
from sinks.sink import Sink
from sinks.source import TopicPartition
from sinks.tables import SMS_STATUS_TABLE, tables_by_topic
from sinks.writer import Writer
from streams.contract.headers import headers_of, with_erasures
from streams.contract.topics import SMS_STATUS
from streams.program.allocator import keep_large_buffers
from tests.bench.instructions import can_count, count_of
from tests.bench.measuring import say
from tests.bench.statuses import statuses

SINKS: Final = ("clickhouse", "parquet", "ndjson")
_MODULE: Final = "tests.bench.sink_instructions"
_TOPIC: Final = SMS_STATUS.name("routee.")
_PARTITIONS: Final = 8
_BATCHES_OF_AN_ANSWER: Final = 6
_ROWS_OF_A_BATCH: Final = 400
_ROWS_OF_A_POLL: Final = 5_000
_ROUND: Final = _PARTITIONS * _BATCHES_OF_AN_ANSWER * _ROWS_OF_A_BATCH
_FEW, _MANY = 1, 3
_VERSION: Final = 12
_PIECE_BYTES: Final = 256 << 10
_WRITTEN_MS: Final = 1_795_339_014_500
_BATCH_BYTES: Final = 10_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per sink: the difference between a run with many rows and one with few."""
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description=__doc__)
    parser.add_argument("sinks", nargs="*", choices=[[], *SINKS], metavar="SINK", help=", ".join(SINKS))
    parser.add_argument("--rounds", type=int, help=f"rounds of {_ROUND:,} rows; prints the processor time of a row")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.run:
        _run(given.sinks[0], given.run)
    elif given.rounds:
        for sink in given.sinks or SINKS:
            say(f"{sink:12} {_run(sink, given.rounds):9.2f} µs of the processor per row")
    elif can_count():
        for sink in given.sinks or SINKS:
            few, many = (count_of(_MODULE, sink, "--run", str(rounds)) for rounds in (_FEW, _MANY))
            say(f"{sink:12} {(many - few) / (_MANY - _FEW) / _ROUND:9,.0f} instructions per row")
    return 0


def _run(name: str, rounds: int) -> float:
    """Write so many rounds of rows, and return the microseconds of a row: the first round does not count."""
    keep_large_buffers()
    private_names.receive_by(LargeAnswer)
    settings = SinksSettings()
    limits = settings.limits_of("clickhouse" if name == "clickhouse" else "files")
    answers = [_batches(partition) for partition in range(_PARTITIONS)]
    with tempfile.TemporaryDirectory(prefix="routee-bench-") as folder:
        sink = _sink(name, Path(folder))
        sink.claim([TopicPartition(_TOPIC, partition) for partition in range(_PARTITIONS)])
        worker = _Worker(sink, limits)
        began = time.process_time()
        for number in range(rounds):
            if number == 1:
                began = time.process_time()
            for partition, batches in enumerate(answers):
                worker.take_in(partition, _answer(partition, _moved(batches, number)))
        worker.write()
        took = time.process_time() - began
        if worker.written != rounds * _ROUND:
            raise ValueError("not every row was written")
    return took * 1e6 / _ROUND / max(1, rounds - 1)


class _Worker:
    """The loop of a sink, without its waits."""

    def __init__(self, sink: Sink, limits: Limits) -> None:
        metrics, readiness = Metrics(), Readiness()
        tables = tables_by_topic("routee.")
        self._writer = Writer(sink, MemoryRejections(), tables, flood=Flood(1), metrics=metrics, readiness=readiness)
        self._limits = limits
        self._batch = Batch(limits)
        self._connection = KafkaProtocol()
        self.written = 0

    def take_in(self, partition: int, answer: bytes) -> None:
        """Take the records of an answer, and write them when enough are collected."""
        self._connection.send_request(FetchRequest[_VERSION](max_wait_ms=0, min_bytes=0, topics=[]), 1)
        self._connection.send_bytes()
        found: list[Any] = []
        for start in range(0, len(answer), _PIECE_BYTES):
            found += self._connection.receive_bytes(answer[start : start + _PIECE_BYTES])
        ((_, response),) = found
        content = response.responses[0].partitions[0].records
        name = TopicPartition(_TOPIC, partition)
        records: Any = QuickRecords(0, name, MemoryRecords(content))
        while records:
            self._batch.add(name, records.take(_ROWS_OF_A_POLL), 0)
        if self._batch.rows_until_due == 0:
            self.write()

    def write(self) -> None:
        """Write the collected records."""
        self._writer.write(self._batch)
        self.written += len(self._batch)
        self._batch = Batch(self._limits)


class _Store:
    """ClickHouse, which takes every row."""

    shards = None
    copies = copies_of(objects_of(known_migrations()), INBOX_OF[SMS_STATUS_TABLE])

    def insert_json(self, table: str, rows: Generator[bytes]) -> int:
        """Take the pieces of the text."""
        del table
        return self.copies * sum(piece.count(b"\n") for piece in rows)


def _sink(name: str, folder: Path) -> Sink:
    if name == "clickhouse":
        return ClickHouseSink(cast("Any", _Store()))
    return FileSink(folder, name, "routee.")


def _batches(partition: int) -> list[bytearray]:
    """Return record batches as a broker has them."""
    own = headers_of(SMS_STATUS.suffix, is_final=False, campaign="c0ffee00-0000-4000-8000-000000000001")
    wave = _PARTITIONS * _BATCHES_OF_AN_ANSWER * _ROWS_OF_A_BATCH
    rows = islice(statuses(3 * wave), partition * _BATCHES_OF_AN_ANSWER * _ROWS_OF_A_BATCH, None)
    found = []
    for _ in range(_BATCHES_OF_AN_ANSWER):
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, _BATCH_BYTES)
        for number, (key, value) in enumerate(islice(rows, _ROWS_OF_A_BATCH)):
            told = own if number else with_erasures(own, b"0123456789abcdef", _ROWS_OF_A_BATCH)
            builder.append(number, _WRITTEN_MS, key, value, [*told])
        found.append(builder.build())
    return found


def _moved(batches: list[bytearray], number: int) -> bytes:
    """Return the batches of a round, each at offsets of its own; a checksum does not cover these."""
    for at, batch in enumerate(batches, number * len(batches)):
        struct.pack_into(">q", batch, 0, at * _ROWS_OF_A_BATCH)
    return b"".join(batches)


def _answer(partition: int, records: bytes) -> bytes:
    """Return what a broker answers to a fetch."""
    topic = FetchResponse.FetchableTopicResponse
    part = topic.PartitionData(
        partition_index=partition,
        error_code=0,
        high_watermark=1 << 40,
        last_stable_offset=1 << 40,
        log_start_offset=0,
        aborted_transactions=None,
        preferred_read_replica=-1,
        records=records,
    )
    response = FetchResponse[_VERSION](
        throttle_time_ms=0, error_code=0, session_id=0, responses=[topic(topic=_TOPIC, partitions=[part])]
    )
    response.with_header(correlation_id=1)
    return bytes(response.encode(framed=True, header=True))


if __name__ == "__main__":
    sys.exit(main())
