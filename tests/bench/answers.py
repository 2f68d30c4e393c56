"""
How long workers take to answer over HTTP while they take in callbacks.

The client is a process of its own (`asking`) on the core of Kafka. It asks for SMS, messages and campaigns that are
known, of the worker that owns them or of one that does not.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.request import urlopen

from kafka import KafkaProducer

from streams.contract.codec import format_time
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW
from tests.bench import callbacks, measuring
from tests.bench.callbacks import CAMPAIGNS, PARTITIONS
from tests.bench.workers import pages_of

KNOWN: Final = 3_000
"""Messages that are asked for, in the state before anything is measured."""

HEADING: Final = f"{'':44} {'asked':>6} {'p50 ms':>7} {'p99 ms':>7} {'longest':>8}"

_REQUESTS_PER_SECOND: Final = 100
_DEADLINE_SECONDS: Final = 60


def known() -> Iterator[callbacks.Body]:
    """Yield the callbacks of the messages that are asked for, in all campaigns."""
    at = format_time(datetime.now(UTC))
    for number, message in enumerate(_known_ids()):
        body = callbacks.body(message, number % CAMPAIGNS, "Queued", at)
        yield partition_of(message, PARTITIONS), body


def _known_ids() -> list[str]:
    return callbacks.message_ids(KNOWN, seed=2)


def ask(ports: list[int], seconds: float) -> dict[str, list[float]]:
    """
    Ask for some seconds; return the time of each answer by kind of request, and as `late` the client's own delays.

    With two workers, each request goes to the worker that does not own the key.
    """
    plan = "\n".join(json.dumps(line) for line in _plan(ports))
    command = [sys.executable, "-m", "tests.bench.asking", str(seconds), str(_REQUESTS_PER_SECOND)]
    run = subprocess.run(
        command, input=plan, capture_output=True, text=True, timeout=seconds + _DEADLINE_SECONDS, check=True
    )
    times: dict[str, list[float]] = json.loads(run.stdout)
    return times


def _plan(ports: list[int]) -> Iterator[tuple[str, str]]:
    """Yield the requests in turn: an SMS, a message, a campaign."""
    others = {number: port for port in ports for number in _not_owned(port, alone=len(ports) == 1)}
    for number, message in enumerate(_known_ids()):
        port = others[partition_of(message, PARTITIONS)]
        yield "sms", f"http://127.0.0.1:{port}/sms/{message[::-1]}"
        yield "messages", f"http://127.0.0.1:{port}/messages/{message}"
        asked = ports[number // CAMPAIGNS % len(ports)]
        yield "campaigns", f"http://127.0.0.1:{asked}/campaigns/c0ffee00-0000-4000-8000-{number % CAMPAIGNS:012d}"


def _not_owned(port: int, *, alone: bool) -> Iterable[int]:
    with urlopen(f"http://127.0.0.1:{pages_of(port)}/readyz", timeout=5) as page:
        mine = json.load(page)["partitions"]["sms"]
    return mine if alone else set(range(PARTITIONS)) - set(mine)


def rows(name: str, times: dict[str, list[float]]) -> Iterator[str]:
    """Yield a line below `HEADING` for each kind of request."""
    for kind, taken in sorted(times.items()):
        middle, most, longest = (measuring.quantile(taken, share) * 1000 for share in (0.5, 0.99, 1.0))
        yield f"{f'{name}: {kind}':44} {len(taken):6} {middle:7.1f} {most:7.1f} {longest:8.1f}"


class Flow:
    """Callbacks at a steady rate, for the length of the block; they are made before."""

    def __init__(self, servers: str, prefix: str, rate: int, per_envelope: int, seconds: float) -> None:
        self._producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=0)
        self._topic = CALLBACKS_RAW.name(prefix)
        self._every = per_envelope / rate
        bodies = callbacks.lives(int(rate * seconds))
        self._envelopes = list(callbacks.envelopes(bodies, per_envelope))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._producer.close()

    def _send(self) -> None:
        began = time.monotonic()
        for number, (partition, bodies) in enumerate(self._envelopes):
            if self._ended.wait(max(0.0, began + number * self._every - time.monotonic())):
                return
            value = callbacks.envelope_of(bodies, format_time(datetime.now(UTC)))
            self._producer.send(self._topic, value, partition=partition)
