"""
State of many SMS for a worker of streams, written where the worker looks for it: minutes instead of hours of feeding.

`into_local_state` writes the local state of a worker that ended well, `into_changelog` the changelog of one whose
disk is lost. Both are what `CopiedPartition` says, after a takeover: claimed by an epoch that the next owner fences.
The raw records that the rows were made from are there no longer: each raw partition begins behind them, as after its
retention.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from streams.contract.topics import CALLBACKS_RAW, Topic, changelog
from streams.domain.stage import Output
from streams.state.changelog.batches import Batches
from streams.state.changelog.fence import ProducerEpoch, next_epoch
from streams.state.rows.reserved_keys import CLAIM, OWNER
from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.write_behind import WriteBehind
from tests.bench import measuring
from tests.bench.copies import CopiedPartition, arrivals

_TABLE: Final = "sms"
_FLUSH_BYTES: Final = 500_000
"""Rows of one batch, about, as a busy worker has them."""

_CLAIM_END: Final = 1
"""The changelog offset of the second and last row of a takeover."""

_MERGING: Final = ("rocksdb.num-running-compactions", "rocksdb.num-running-flushes")
_CALM_LOOKS: Final = 5
"""RocksDB says that merging is pending also while it finds nothing to merge, so only a while without any is its end."""
_MERGE_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.2

Rows = Mapping[bytes, bytes | None]


@dataclass(frozen=True)
class Place:
    """The topics of one prefix, which are new, and a number of SMS for them, spread evenly over the partitions."""

    servers: str
    prefix: str
    partitions: int
    messages: int
    now: int
    """The time (ms) until which the SMS were received."""
    raw_id: str = ""
    changelog_id: str = ""

    @property
    def changelog(self) -> str:
        """The full name of the changelog of the SMS."""
        return changelog(_TABLE).name(self.prefix)

    def name(self, number: int) -> str:
        """Return the transactional id by which the owner of a partition fences the others."""
        return f"{self.prefix}streams:{self.changelog}:{number}"

    def share(self, number: int) -> int:
        """Return how many SMS a partition has."""
        return self.messages * (number + 1) // self.partitions - self.messages * number // self.partitions

    def checkpoints(self, number: int) -> Iterator[tuple[Rows, int]]:
        """Yield the rows of a partition flush by flush, and how many raw records they and those before contain."""
        copied = CopiedPartition(number, self.partitions, self.raw_id)
        records = 0
        for one in arrivals(number, self.partitions, self.share(number), self.now):
            records += 1
            if copied.take_in(one) > _FLUSH_BYTES:
                yield copied.seal(), records
        yield copied.seal(), records


def place(servers: str, prefix: str, partitions: int, messages: int) -> Place:
    """Return the place of state in topics that are there, received up to now."""
    new = Place(servers, prefix, partitions, messages, int(time.time() * 1000))
    admin = KafkaAdminClient(bootstrap_servers=servers)
    names = [CALLBACKS_RAW.name(prefix), new.changelog]
    found = {one["name"]: str(one["topic_id"]) for one in admin.describe_topics(names)}
    admin.close()
    return replace(new, raw_id=found[names[0]], changelog_id=found[names[1]])


def into_local_state(place: Place, state: Path) -> None:
    """Write the local state of a worker; `state` is its STREAMS_DATA_DIR, which is new."""
    folder = state / "worker-0" / f"{_TABLE}-{place.changelog_id}"
    _grow(place, partial(_write_store, folder, asyncio.run(_claim_all(place))))


def into_changelog(place: Place) -> None:
    """Write the changelog of the SMS."""
    _grow(place, _write_changelog)


def _grow(place: Place, write: Callable[[Place, list[int]], dict[int, int]]) -> None:
    """Let a process for each core write its share of the partitions; then let the raw topic begin behind the rows."""
    cores = (measuring.OTHER_CORE, measuring.PROGRAM_CORE)
    with ProcessPoolExecutor(len(cores), get_context("spawn")) as pool:
        shares = [
            pool.submit(_on_core, core, write, place, [*range(at, place.partitions, len(cores))])
            for at, core in enumerate(cores)
        ]
        records = {number: count for share in shares for number, count in share.result().items()}
    asyncio.run(_skip(place, CALLBACKS_RAW, records))


def _on_core(
    core: int, write: Callable[[Place, list[int]], dict[int, int]], place: Place, numbers: list[int]
) -> dict[int, int]:
    measuring.pin(core)
    return write(place, numbers) if numbers else {}


def _rounds(place: Place, numbers: list[int]) -> Iterator[tuple[int, Rows, int]]:
    """Yield the flushes of partitions in turns."""
    left = {number: place.checkpoints(number) for number in numbers}
    while left:
        for number, flushes in [*left.items()]:
            flushed = next(flushes, None)
            if flushed is None:
                del left[number]
            else:
                yield number, *flushed


# -- local state


def _write_store(folder: Path, claims: Mapping[int, Rows], place: Place, numbers: list[int]) -> dict[int, int]:
    records = {}
    store = WriteBehind(RocksStore(folder, RocksMemory()))
    for number in numbers:
        store.open(number)
        store.write(number, claims[number], _CLAIM_END)
    for number, rows, end in _rounds(place, numbers):
        store.write(number, rows, _CLAIM_END)
        records[number] = end
    for number in numbers:
        store.close(number)
    _merge(folder, numbers)
    return records


def _merge(folder: Path, numbers: list[int]) -> None:
    """Let RocksDB finish the merging of its files, which would count as work of the worker that opens them next."""
    store = RocksStore(folder, RocksMemory())
    for number in numbers:
        store.open(number)
    deadline = time.monotonic() + _MERGE_SECONDS
    calm = 0
    while calm < _CALM_LOOKS:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{folder} is still being merged")
        time.sleep(_LOOK_SECONDS)
        is_merging = any(base.property_int_value(name) for base in store._open.values() for name in _MERGING)
        calm = 0 if is_merging else calm + 1
    for number in numbers:
        store.close(number)


# -- Kafka


@asynccontextmanager
async def _batches(place: Place) -> AsyncIterator[tuple[Batches, AIOKafkaProducer]]:
    producer = AIOKafkaProducer(bootstrap_servers=place.servers, acks="all", max_request_size=16 << 20)
    await producer.start()
    try:
        yield Batches(producer), producer
    finally:
        await producer.stop()


async def _claim(place: Place, number: int, batches: Batches, producer: AIOKafkaProducer) -> tuple[ProducerEpoch, Rows]:
    """Take a partition over as a worker does; return its epoch and rows."""
    writer = await next_epoch(producer.client, place.name(number))
    rows: Rows = {CLAIM: b"tests.bench", OWNER: b"%d" % writer.producer_id}
    for key, row in rows.items():
        _, end = await batches.send(place.changelog, number, {key: row}, writer)
    if end != _CLAIM_END:
        raise ValueError(f"{place.changelog}[{number}] had rows before")
    return writer, rows


async def _claim_all(place: Place) -> dict[int, Rows]:
    async with _batches(place) as (batches, producer):
        return {number: (await _claim(place, number, batches, producer))[1] for number in range(place.partitions)}


def _write_changelog(place: Place, numbers: list[int]) -> dict[int, int]:
    return asyncio.run(_append(place, numbers))


async def _append(place: Place, numbers: list[int]) -> dict[int, int]:
    records = {}
    async with _batches(place) as (batches, producer):
        writers = {number: (await _claim(place, number, batches, producer))[0] for number in numbers}
        for number, rows, end in _rounds(place, numbers):
            await batches.send(place.changelog, number, rows, writers[number])
            records[number] = end
    return records


async def _skip(place: Place, topic: Topic, records: Mapping[int, int]) -> None:
    """Let each partition of a topic begin at an offset: by records that are deleted again."""
    name = topic.name(place.prefix)
    async with _batches(place) as (batches, _):
        for number, end in records.items():
            await batches.send_all(name, number, [Output(topic, None, b"{}")] * end)
    admin = KafkaAdminClient(bootstrap_servers=place.servers)
    admin.delete_records({TopicPartition(name, number): end for number, end in records.items()})
    admin.close()
