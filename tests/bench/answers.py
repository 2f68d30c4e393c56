"""
How long workers take to answer over HTTP while they take in callbacks.

The client is a process of its own (`asking`) on the core of Kafka. It asks for SMS, messages and campaigns that are
known, of the worker that owns them or of one that does not, and now and then for a list of a hundred campaigns.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
from kafka import KafkaProducer

from streams.contract.codec import format_time
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW
from tests.bench import callbacks, measuring
from tests.bench.callbacks import CAMPAIGNS, PARTITIONS
from tests.bench.workers import pages_of
from tests.builders import campaign_report
from tests.support.wait import eventually

_ASKED_FOR: Final = 3_000
"""Messages that are asked for."""

_LISTED: Final = 2_000
"""Campaigns besides the ones of the traffic, every second of them finished."""

_SMS_OF_LISTED: Final = 8
"""Of each; they are spread over the partitions."""

KNOWN: Final = _ASKED_FOR + _LISTED * (_SMS_OF_LISTED + 1)
"""Callbacks in the state before anything is measured."""

_MESSAGES_PER_LIST: Final = 4
_LISTS: Final = ("state=running", "state=finished&since=2026-01-01T00:00:00Z", "limit=100")

HEADING: Final = f"{'':44} {'asked':>6} {'p50 ms':>7} {'p99 ms':>7} {'longest':>8}"

_REQUESTS_PER_SECOND: Final = 100
_DEADLINE_SECONDS: Final = 60


def known() -> Iterator[callbacks.Body]:
    """Yield the callbacks of the messages that are asked for, in all campaigns, and of the campaigns in lists."""
    at = format_time(datetime.now(UTC))
    for number, message in enumerate(_known_ids()):
        body = callbacks.body(message, number % CAMPAIGNS, "Queued", at)
        yield partition_of(message, PARTITIONS), body
    for number, message in enumerate(callbacks.message_ids(_LISTED * _SMS_OF_LISTED, seed=3)):
        campaign = CAMPAIGNS + number % _LISTED
        yield partition_of(message, PARTITIONS), callbacks.body(message, campaign, "Delivered", at)
    for number in range(_LISTED):
        listed = callbacks.tracking_id(CAMPAIGNS + number)
        status, counts = ("Finished" if number % 2 else "Running"), {"Delivered": _SMS_OF_LISTED}
        report = campaign_report(status, counts, campaign=listed, total=_SMS_OF_LISTED + 1)
        yield partition_of(listed, PARTITIONS), orjson.dumps(report)


def wait_until_listed(ports: list[int]) -> None:
    """Return when each worker lists all finished campaigns, so the first list, which reads all, is over."""
    for port in ports:
        eventually(lambda port=port: _finished(port) == _LISTED // 2, _DEADLINE_SECONDS, every=0.5)  # type: ignore[misc]


def _finished(port: int) -> int:
    found = 0
    cursor: str | None = ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        try:
            with urlopen(f"http://127.0.0.1:{port}/campaigns?state=finished{after}", timeout=20) as answer:
                page = json.load(answer)
        except HTTPError:  # 503 while a worker still reads its campaigns
            return 0
        found += len(page["campaigns"])
        cursor = page["next"]
    return found


def _known_ids() -> list[str]:
    return callbacks.message_ids(_ASKED_FOR, seed=2)


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
    """Yield the requests in turn: an SMS, a message, a campaign, and sometimes a list."""
    others = {number: port for port in ports for number in _not_owned(port, alone=len(ports) == 1)}
    for number, message in enumerate(_known_ids()):
        port = others[partition_of(message, PARTITIONS)]
        yield "sms", f"http://127.0.0.1:{port}/sms/{message[::-1]}"
        yield "messages", f"http://127.0.0.1:{port}/messages/{message}"
        asked = ports[number // CAMPAIGNS % len(ports)]
        yield "campaigns", f"http://127.0.0.1:{asked}/campaigns/{callbacks.tracking_id(number % CAMPAIGNS)}"
        if number % _MESSAGES_PER_LIST == 0:
            at = number // _MESSAGES_PER_LIST
            yield "lists of 100", f"http://127.0.0.1:{ports[at % len(ports)]}/campaigns?{_LISTS[at % len(_LISTS)]}"


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
