"""
How long it takes from a record in Kafka to its row in `sms`, at a steady rate.

`python -m tests.bench.visibility --help`. A row counts as visible when the view has as many rows as were sent up to it.
"""

import argparse
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from kafka import KafkaProducer

from streams.contract.topics import SMS_STATUS
from tests.bench import measuring, statuses
from tests.bench.measuring import say
from tests.bench.sinks import Bench

_CHUNK: Final = 50
_LOOK_SECONDS: Final = 0.05
_DEADLINE_SECONDS: Final = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print p50 and p99 in seconds."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.visibility", description=__doc__)
    parser.add_argument("--rate", type=int, default=5_000, help="records per second")
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args(arguments)
    measuring.pin(measuring.OTHER_CORE)
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        measuring.stores(Path(folder)) as (kafka, clickhouse),
    ):
        bench = Bench(Path(folder), kafka, clickhouse)
        bench.prepare(0)
        with bench.consuming("fresh") as visible:
            latencies = _latencies(kafka.bootstrap_servers, visible, given.rate, given.seconds)
    p50, p99 = (measuring.quantile(latencies, share) for share in (0.5, 0.99))
    say(f"{given.rate:,} records/s for {given.seconds} s: visible after p50 {p50:.2f} s, p99 {p99:.2f} s")
    return 0


def _latencies(bootstrap_servers: str, visible: Callable[[], int], rate: int, seconds: int) -> list[float]:
    """Return, for each chunk of records, the seconds from its sending until the view had it."""
    looks: list[tuple[int, float]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            looks.append((visible(), time.monotonic()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        sent = _send(bootstrap_servers, rate, seconds)
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while (not looks or looks[-1][0] < rate * seconds) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
    finally:
        over.set()
        looking.join()
    counts = [count for count, _ in looks]
    return [looks[bisect_left(counts, count)][1] - at for count, at in sent]


def _send(bootstrap_servers: str, rate: int, seconds: int) -> list[tuple[int, float]]:
    """Send first records of as many SMS, evenly; return how many were sent at which moment."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=5)
    # Of three records of each SMS the first third are its first ones.
    values = statuses.statuses(rate * seconds * len(statuses.STATUSES), wave=rate * seconds)
    sent = []
    began = time.monotonic()
    for number in range(rate * seconds // _CHUNK):
        time.sleep(max(0.0, began + number * _CHUNK / rate - time.monotonic()))
        sent.append(((number + 1) * _CHUNK, time.monotonic()))
        for key, value in islice(values, _CHUNK):
            producer.send(SMS_STATUS.name("routee."), key=key, value=value, partition=number % statuses.PARTITIONS)
    producer.close()
    return sent


if __name__ == "__main__":
    sys.exit(main())
