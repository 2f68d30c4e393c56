"""
The cost of erasures in a sink: processor time of a record, from the bytes of Kafka to the bytes for the store.

`archive` are raw records of 50 callbacks each into Parquet; the others are records of SMS.

`python -m tests.bench.blanking --help`. With 1,000 erasures of other people, a record is of a batch that streams made
with these very erasures; or of one that tells none, and then younger than all erasures, or older. The kinds take turns,
and the least time of each counts: other load of the machine only adds to it.
"""

import argparse
import gc
import sys
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record import MemoryRecords

from sinks.blanking import blanked
from sinks.clickhouse.sink import _lines
from sinks.files.formats import FORMATS
from sinks.kafka.record_batches import QuickRecords
from sinks.rows import sort_out
from sinks.source import Record, TopicPartition
from sinks.tables import RAW_CALLBACKS_TABLE, SMS_STATUS_TABLE
from streams.contract.erasures import KEY_BYTES, Erasure, Erasures, Marks
from streams.contract.headers import headers, headers_of, with_erasures
from streams.contract.topics import CALLBACKS_RAW, SMS_STATUS
from tests.bench.instructions import PER_ENVELOPE, envelopes
from tests.bench.measuring import say
from tests.bench.statuses import statuses

SINKS: Final = ("clickhouse", "parquet", "ndjson", "archive")
_ARCHIVE: Final = SINKS[-1]
_RECORDS: Final = 1_500
_RAW_RECORDS: Final = 100
_MARKS: Final = Marks(bytes(range(KEY_BYTES)))
_LONG_AGO, _LATER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_BATCH_BYTES: Final = 10_000_000
_WRITTEN_MS: Final = 1_795_339_014_500
_CAMPAIGN: Final = "c0ffee00-0000-4000-8000-000000000001"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per sink."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.blanking", description=__doc__)
    parser.add_argument("sinks", nargs="*", choices=[[], *SINKS], metavar="SINK", help=", ".join(SINKS))
    parser.add_argument("--turns", type=int, default=40)
    given = parser.parse_args(arguments)
    old, young = _erasures(_LATER), _erasures(_LONG_AGO)
    of_sms = _kinds(old, young, is_raw=False)
    say(f"{'µs per record':16} " + " ".join(f"{name:>16}" for name in of_sms))
    for sink in given.sinks or SINKS:
        is_raw = sink == _ARCHIVE
        kinds = _kinds(old, young, is_raw=True) if is_raw else of_sms
        least = dict.fromkeys(kinds, sys.maxsize)
        gc.disable()
        for _ in range(given.turns):
            for name, (batch, erasures) in kinds.items():
                least[name] = min(least[name], _nanoseconds(sink, batch, erasures))
        gc.enable()
        records = _RAW_RECORDS if is_raw else _RECORDS
        say(f"{sink:16} " + " ".join(f"{one / records / 1000:16.2f}" for one in least.values()))
    return 0


def _kinds(old: Erasures, young: Erasures, *, is_raw: bool) -> dict[str, tuple[bytes, Erasures]]:
    """Return what is compared: a batch of records, and the erasures that the sink knows."""
    plain = _raw_batch() if is_raw else _batch(None)
    known = {"no erasures": Erasures(_MARKS), "untold, younger": young, "untold, older": old}
    untold = {name: (plain, erasures) for name, erasures in known.items()}
    return untold if is_raw else untold | {"made with them": (_batch(old), old)}


def _erasures(at: datetime) -> Erasures:
    known = Erasures(_MARKS)
    for number in range(1_000):
        known.add(Erasure(mark=_MARKS.of(f"+4470000{number:05}") or "", at=at, key_id=_MARKS.key_id))
    return known


def _batch(told: Erasures | None) -> bytes:
    """Return records of SMS as streams sends them, with the erasures that held."""
    own = headers_of(SMS_STATUS.suffix, is_final=False, campaign=_CAMPAIGN)
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, _BATCH_BYTES)
    for number, (key, value) in zip(range(_RECORDS), statuses(3 * _RECORDS), strict=False):
        is_first = number == 0 and told is not None
        headers = with_erasures(own, told.digest, _RECORDS) if told and is_first else own
        builder.append(number, 0, key, value, [*headers])
    return bytes(builder.build())


def _raw_batch() -> bytes:
    """Return envelopes as ingest sends them."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, _BATCH_BYTES)
    for number, value in enumerate(envelopes("one final", _RAW_RECORDS * PER_ENVELOPE)):
        builder.append(number, _WRITTEN_MS, None, value, headers(CALLBACKS_RAW))
    return bytes(builder.build())


def _store(sink: str, rows: list[Record]) -> None:
    if sink == _ARCHIVE:
        FORMATS["parquet"](RAW_CALLBACKS_TABLE, rows)
    elif sink == "clickhouse":
        deque(_lines(SMS_STATUS_TABLE, rows), 0)
    else:
        FORMATS[sink](SMS_STATUS_TABLE, rows)


def _nanoseconds(sink: str, batch: bytes, erasures: Erasures) -> int:
    began = time.thread_time_ns()
    topic, table = (CALLBACKS_RAW, RAW_CALLBACKS_TABLE) if sink == _ARCHIVE else (SMS_STATUS, SMS_STATUS_TABLE)
    records = QuickRecords(0, TopicPartition(topic.name("routee."), 0), MemoryRecords(batch)).take(_RECORDS)
    rows = [*blanked(table, records, erasures)]
    _store(sink, rows if sink == _ARCHIVE else sort_out(rows).rows)
    return time.thread_time_ns() - began


if __name__ == "__main__":
    sys.exit(main())
