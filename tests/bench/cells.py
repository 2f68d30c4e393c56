"""
The bytes that cells of deliveries take in the state of streams and on their topic, by the rules over rows in memory.

`python -m tests.bench.cells --help`. All partitions have SMS of every route and window of sending. The bytes are those
of keys and values before RocksDB and Kafka compress them, and the same in every run.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Final

from streams.contract.codec import format_time_ms
from streams.contract.dates import read_date
from streams.contract.keys import partition_of
from streams.contract.topics import DELIVERY_WINDOWS
from streams.domain.cells import CELL_PREFIX, WINDOW_MS
from streams.domain.delivery_partials import changed_cells
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from tests.bench.callbacks import PARTITIONS, message_ids
from tests.bench.measuring import say
from tests.builders import envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of

_START: Final = read_date("2026-11-22T00:00:00Z") or 0
_PREFIXES: Final = (CELL_PREFIX, b"w:")
"""Of the rows of cells, and of the lists of their names."""
_COUNTRIES: Final = 10
_WINDOWS_A_DAY: Final = 288
_DAYS: Final = {"partitions": 9, "merged": 16, "records": 35}
"""How long each is kept: the retention and a day, a week more, the retention of the topic."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the bytes of a cell, and of all cells of so many routes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cells", description=__doc__)
    parser.add_argument("--sms", type=int, default=20_000)
    parser.add_argument("--routes", type=int, default=50)
    parser.add_argument("--windows", type=int, default=12)
    given = parser.parse_args(arguments)
    partitions, stage = [MemoryRows() for _ in range(PARTITIONS)], SmsStage(Policy())
    for number, message in enumerate(message_ids(given.sms)):
        partition = partition_of(message, PARTITIONS)
        outputs_of(stage.apply(partitions[partition], partition, number, _callback(message, number, given)))
    lines = [line.value for at, rows in enumerate(partitions) for line in changed_cells(rows, at, rows.changed)]
    merged, merging = MemoryRows(), DeliveryStage()
    outputs_of(merging.apply(merged, 0, 0, b"\n".join(lines)))
    told = [out for out in merging.summarize(merged, 0, merged.changed) if out.topic is DELIVERY_WINDOWS]
    cells = len(told)
    bytes_of = {
        "partitions": sum(map(_size, partitions)) / cells,
        "merged": _size(merged) / cells,
        "records": mean(len(record.key or b"") + len(record.value) for record in told),
    }
    places = len(lines) / cells
    say(f"{given.sms:,} SMS, {given.routes} routes, {given.windows} windows: {cells} cells")
    say(f"{bytes_of['partitions'] / places:.0f} bytes of a cell in each of its {places:.1f} partitions")
    a_day = given.routes * _WINDOWS_A_DAY
    say(f"{'':12} {'bytes a cell':>14} {'days':>6} {f'MB of {a_day:,} a day':>22}")
    for kind, size in bytes_of.items():
        say(f"{kind:12} {size:14.0f} {_DAYS[kind]:6} {size * a_day * _DAYS[kind] / 1e6:22.1f}")
    return 0


def _callback(message: str, number: int, given: argparse.Namespace) -> bytes:
    route = number % given.routes
    at = format_time_ms(_START + number // given.routes % given.windows * WINDOW_MS)
    named = {"country": f"C{route % _COUNTRIES}", "operator": f"Operator {route}"}
    return envelope(sms_callback("Delivered", at, message_id=message, sms_id=message, **named), received_at=at)


def _size(rows: MemoryRows) -> int:
    written: Mapping[bytes, bytes] = rows.written
    return sum(len(key) + len(row) for key, row in written.items() if key.startswith(_PREFIXES))


if __name__ == "__main__":
    sys.exit(main())
