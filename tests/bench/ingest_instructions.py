"""
The cost of a callback in ingest in instructions of the processor, counted by valgrind as `instructions` does.

`python -m tests.bench.ingest_instructions` counts what a worker does itself: from the bytes of a request to the record
batch for Kafka, and from the acknowledgement to the answer. 256 connections post in turns, to eight partitions. The
event loop and the kernel are left out: their sockets are stand-ins.
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Sequence
from typing import Any, Final

from ingest.callback.envelope import RawRecord
from ingest.clock import SystemClock
from ingest.commit.publisher import Publisher, Terms
from ingest.http.connection import Connection
from ingest.http.service import Service
from ingest.kafka.producer import _batch
from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from streams.contract.headers import headers
from streams.contract.topics import Topic
from tests.bench.ingest_load import SECRET, body, head
from tests.bench.instructions import can_count, count_of
from tests.bench.measuring import say

_MODULE: Final = "tests.bench.ingest_instructions"
_CONNECTIONS: Final = 256
_PARTITIONS: Final = 8
_FEW, _MANY = 4, 12
_LONG: Final = 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the instructions of a callback: the difference between a run with many and one with few."""
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description=__doc__)
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.run:
        asyncio.run(_post(given.run))
        return 0
    if can_count():
        few, many = (count_of(_MODULE, "--run", str(turns)) for turns in (_FEW, _MANY))
        say(f"instructions per callback {(many - few) / (_MANY - _FEW) / _CONNECTIONS:9,.0f}")
    return 0


async def _post(turns: int) -> None:
    """Have every connection post so many callbacks, each after the answer to the one before."""
    clock, metrics = SystemClock(), Metrics()
    settings = IngestSettings(ingest_secrets=SECRET, kafka_partitions=_PARTITIONS)
    terms = Terms(_PARTITIONS, flush_seconds=0, ack_timeout_seconds=_LONG, max_pending_bytes=1 << 30)
    service = Service(settings, Publisher(_Log(), metrics, terms, clock), metrics, clock)
    service.publisher.start()
    answers = [_Answers() for _ in range(_CONNECTIONS)]
    connections = [Connection(service, None) for _ in answers]
    for connection, written in zip(connections, answers, strict=True):
        service.connections.add(connection)
        connection.connection_made(written)
    # The same number in every run, so that making them does not count.
    requests = [[_request(number, turn) for number in range(_CONNECTIONS)] for turn in range(_MANY)]
    gc.freeze()
    for posted in requests[:turns]:
        for connection, request in zip(connections, posted, strict=True):
            connection.data_received(request)
        while service.pending.count:  # noqa: ASYNC110 - a few turns of the loop, and nothing to wait for
            await asyncio.sleep(0)
    if {written.count for written in answers} != {turns}:
        raise ValueError("not every callback was answered once")
    await service.publisher.stop()


def _request(number: int, turn: int) -> bytes:
    callback = body(b"%08x-0000-4000-8000-%012d" % (number * 2_654_435_761 % (1 << 32), turn))
    return head(len(callback)) + callback


class _Answers(asyncio.Transport):
    """The connection to a client, which counts its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def write(self, data: Any) -> None:  # noqa: ANN401 - asyncio's signature
        """Take an answer."""
        self.count += data.startswith(b"HTTP/1.1 200 ")


class _Log:
    """Kafka, which acknowledges at once: batches are built to their last byte, and sent nowhere."""

    trouble: str | None = None

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:  # noqa: ARG002 - the port's signature
        """Build the batch."""
        _batch(records, headers(topic))
        await asyncio.sleep(0)


if __name__ == "__main__":
    sys.exit(main())
