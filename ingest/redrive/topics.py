"""
The topics as a redrive reads them, without a group: refused callbacks, their bytes, and the redriven ones of them.
"""

from collections.abc import AsyncIterator, Container, Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.clock import PATIENCE_SECONDS, Clock, Patience
from ingest.kafka.log import no_answer
from ingest.kafka.readable import reading_problems
from ingest.redrive.errors import ReadError
from ingest.redrive.fates import Place, Raw, Refused, Rejection, raw_of, refused_of
from streams.contract.erasures import AnotherKeyError, Erasures, NotAnErasureError, Reading
from streams.contract.permissions import redrive
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, ERASURES, Topic
from streams.program.brokers import client_options
from streams.program.settings import CommonSettings

_POLL_MS: Final = 500
_RECORDS: Final = 2000
_CLOCKS_MS: Final = 3_600_000
"""Kafka's time of a record and the receipt in it come of two clocks."""
_MARK: Final = b'"redrive"'


class Wanted(NamedTuple):
    """Callbacks that were received in a range of time (ms), and refused for one of these reasons; none: for any."""

    since_ms: float
    until_ms: float
    reasons: frozenset[str]

    def has(self, refused: Refused) -> bool:
        """Tell whether a refused callback is one of them."""
        in_time = self.since_ms <= refused.first_received_at_ms < self.until_ms
        return in_time and (not self.reasons or refused.reason in self.reasons)


class Topics:
    """
    Reads to the ends that the topics have when it is asked. `done` are the rejections that were redriven.

    Raises ReadError when Kafka does not give the records, also when none comes for a minute.
    """

    def __init__(self, settings: CommonSettings, clock: Clock) -> None:
        self.done: set[Rejection] = set()
        self._settings = settings
        self._clock = clock
        self._consumer: AIOKafkaConsumer | None = None
        self._names = {topic: topic.name(settings.kafka_topic_prefix) for topic in _READ}
        self._raw_ends: dict[TopicPartition, int] = {}

    async def open(self) -> None:
        """Find the topics."""
        needed = redrive(self._settings.kafka_topic_prefix)
        if problems := await reading_problems(self._settings, [*_READ], needed, self._clock):
            raise ReadError(problems)
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            client_id="routee-ingest-redrive",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await self._consumer.start()
        except KafkaError as error:
            raise ReadError(str(no_answer(self._settings, error))) from error

    async def close(self) -> None:
        """Leave Kafka."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def erasures(self) -> Erasures:
        """Return all erasures; ReadError when ERASURE_KEY is not the one that they were made with."""
        name = self._names[ERASURES]
        erasures, reading = Erasures(self._settings.erasure_marks), Reading(name)
        begins = await self._begins(ERASURES)
        try:
            async for record in self._records(begins, await self._ends(begins)):
                if (erasure := reading.read(record.offset, record.key, record.value)) is not None:
                    erasures.add(erasure)
            reading.check()
        except (AnotherKeyError, NotAnErasureError) as error:
            raise ReadError(str(error)) from error
        return erasures

    async def refused(self, wanted: Wanted) -> list[Refused]:
        """Return the refused callbacks, the one that was received first before all others."""
        begins = await self._begins(CALLBACKS_REJECTED, wanted.since_ms - _CLOCKS_MS)
        found = []
        async for record in self._records(begins, await self._ends(begins)):
            refused = refused_of((record.partition, record.offset), record.value)
            if refused is not None and wanted.has(refused):
                found.append(refused)
        return sorted(found, key=lambda one: (one.first_received_at_ms, one.rejection))

    async def raw(self, places: Mapping[Place, Container[int]], since_ms: float) -> dict[Place, Raw | None]:
        """
        Return the records of `callbacks.raw` that Kafka still has, and learn the redriven rejections.

        `places` tells the wanted callbacks of each record; no other ones are kept.

        They are those of callbacks that were received since: a redrive comes after its rejection.
        """
        begins = await self._begins(CALLBACKS_RAW, since_ms - _CLOCKS_MS)
        oldest = await self._begins(CALLBACKS_RAW)
        for at in begins:
            of_partition = [offset for partition, offset in places if partition == at.partition]
            begins[at] = max(oldest[at], min([begins[at], *of_partition]))
        found: dict[Place, Raw | None] = {}
        ends = await self._ends(begins)
        async for record in self._records(begins, ends):
            place = (record.partition, record.offset)
            if place in places:
                found[place] = raw_of(record.value, places[place])
            self._note_done(record.value)
        self._raw_ends = ends
        return found

    async def catch_up(self) -> None:
        """Learn which rejections were redriven since the last look at `callbacks.raw`."""
        ends = await self._ends(self._raw_ends)
        async for record in self._records(self._raw_ends, ends):
            self._note_done(record.value)
        self._raw_ends = ends  # not before: after a look that failed the next one begins where it did

    def _note_done(self, value: bytes | None) -> None:
        if value is not None and _MARK in value and (raw := raw_of(value, ())) is not None:
            self.done.update(raw.rejected)

    async def _begins(self, topic: Topic, since_ms: float = 0) -> dict[TopicPartition, int]:
        """Return the offsets from a time on; those of the oldest records when it is before all of them."""
        count = topic.partitions or self._settings.kafka_partitions
        partitions = [TopicPartition(self._names[topic], number) for number in range(count)]
        try:
            begins: dict[TopicPartition, int] = await self._reader.beginning_offsets(partitions)
            if since_ms <= 0:
                return begins
            told = await self._reader.offsets_for_times(dict.fromkeys(partitions, int(since_ms)))
            ends = await self._reader.end_offsets(partitions)
        except KafkaError as error:
            raise _unread(error) from error
        return {one: ends[one] if told.get(one) is None else max(begins[one], told[one].offset) for one in partitions}

    async def _ends(self, of: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            ends: dict[TopicPartition, int] = await self._reader.end_offsets([*of])
        except KafkaError as error:
            raise _unread(error) from error
        return ends

    async def _records(
        self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AsyncIterator[Any]:
        consumer = self._reader
        left = [one for one in begins if begins[one] < ends[one]]
        if not left:
            return
        try:
            consumer.assign(left)
            for one in left:
                consumer.seek(one, begins[one])
            patience = Patience(self._clock)
            while left:
                came = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_RECORDS)
                for at, records in came.items():
                    for record in records:
                        if record.offset < ends[at]:
                            yield record
                left = [one for one in left if await consumer.position(one) < ends[one]]
                if left and not patience.lasts(got_on=bool(came)):
                    raise _unread(f"none came for {PATIENCE_SECONDS:.0f} seconds")
        except KafkaError as error:
            raise _unread(error) from error

    @property
    def _reader(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("open() comes first")
        return self._consumer


_READ: Final = (CALLBACKS_RAW, CALLBACKS_REJECTED, ERASURES)


def _unread(error: KafkaError | str) -> ReadError:
    return ReadError(f"Kafka does not give the records of the topics: {error}")
