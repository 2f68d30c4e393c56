"""
One pipeline under test: its topics, its workers as child processes, its traffic, and whether it told the truth.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError, NoError
from kafka.structs import OffsetAndMetadata

from streams.contract.topics import ALL_TOPICS, CALLBACKS_RAW, CAMPAIGN_PARTIALS, DELIVERY_PARTIALS, Topic
from streams.errors import Exit
from tests.support.pipeline.toy_worker import READY_SECONDS, CopiedWorker, ToyWorker
from tests.support.pipeline.truth import Record, Records, Truth, differences, endless_traffic
from tests.support.wait import eventually

_NEVER: Final = frozenset(
    {
        Exit.STAGE_RAISED,
        Exit.FOREIGN_WRITE,
        Exit.UNFLUSHED_ROWS,
        Exit.STATE_LOST,
        Exit.SOURCE_REPLACED,
        Exit.SOURCE_EXPIRED,
        Exit.PARTITIONS_CHANGED,
    }
)
"""Ends for which the only explanation is that state was lost or falsified."""

CHECKED_TOPICS = ("sms.status", "campaign.progress", "streams-sms-changelog", "streams-campaigns-changelog")


class Lab:
    """A context: what it starts, it ends. `settings` are environment variables of the workers."""

    def __init__(
        self, bootstrap_servers: str, prefix: str, folder: Path, *, partitions: int = 3, **settings: str
    ) -> None:
        self.prefix = prefix
        self.partitions = partitions
        self.workers: list[ToyWorker] = []
        self._supervised: list[ToyWorker] = []
        self._folder = folder
        self._servers = bootstrap_servers
        self.admin = self._new_admin()
        self._records: list[tuple[Record, int]] = []
        """Each produced record and its offset."""
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for started in self.workers:
            started.tell_ending()
            if started.exit_code is None:
                started.kill()
        self.admin.close()

    @property
    def group(self) -> str:
        """Return the consumer group of the workers."""
        return f"{self.prefix}streams"

    def create_topics(self, changelog_config: dict[str, str] | None = None) -> None:
        """Create all topics, the changelogs with more configuration if there is any."""
        self._create(*ALL_TOPICS, more=changelog_config or {})

    def recreate(self, topic: Topic) -> None:
        """Delete a topic and make one of the same name."""
        self.admin.delete_topics([topic.name(self.prefix)])
        self._create(topic, more={})

    def delete_everything(self) -> None:
        """Delete the topics and the group."""
        self.admin.delete_topics([topic.name(self.prefix) for topic in ALL_TOPICS])
        self.admin.delete_groups([self.group])

    def _new_admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self._servers, reconnect_backoff_max_ms=1_000)

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        """
        Let `eventually` ask again when a broker is away, through a new client that begins with the live brokers.

        A client remembers which broker coordinates a group, and asks that one even when it is dead.
        """
        try:
            yield
        except KafkaError as error:
            with suppress(KafkaError):
                former, self.admin = self.admin, self._new_admin()
                former.close()
            raise AssertionError(f"Kafka does not answer: {error!r}") from error

    def topic_ids(self) -> dict[Topic, str]:
        """Return the id that Kafka gave each topic."""
        by_name = {topic.name(self.prefix): topic for topic in ALL_TOPICS}
        return {by_name[found["name"]]: str(found["topic_id"]) for found in self.admin.describe_topics([*by_name])}

    def leader_of(self, suffix: str, partition: int) -> int:
        """Return the broker that leads a partition, negative while there is none."""
        with self._patiently():
            (topic,) = self.admin.describe_topics([self.prefix + suffix])
        return next(int(found["leader_id"]) for found in topic["partitions"] if found["partition_index"] == partition)

    def epoch_of(self, suffix: str, partition: int) -> int:
        """Return the epoch that the coordinator gave out last to the owner of a changelog partition."""
        name = f"{self.group}:{self.prefix}{suffix}:{partition}"
        return int(self.admin.describe_transactions([name])[name].producer_epoch)

    def wait_for_leaders(self) -> None:
        """Return when every partition has a leader that can be reached."""
        eventually(lambda: bool(self.ends(*(topic.suffix for topic in ALL_TOPICS))), 60, every=0.5)

    def _create(self, *topics: Topic, more: dict[str, str]) -> None:
        self.admin.create_topics(
            {
                topic.name(self.prefix): {
                    "num_partitions": topic.partitions or self.partitions,
                    "replication_factor": -1,
                    "configs": {**topic.config_with(1), **(more if "changelog" in topic.suffix else {})},
                }
                for topic in topics
            }
        )
        self.admin.wait_for_topics([topic.name(self.prefix) for topic in topics], timeout_ms=60_000)

    def widen(self, partitions: int) -> None:
        """Give topics more partitions, as an operator may; workers started from now on are told of them."""
        self.partitions = partitions
        widened = {topic.name(self.prefix): partitions for topic in ALL_TOPICS if topic.partitions is None}
        self.admin.create_partitions(widened)
        self.wait_for_leaders()

    def start(self, folder: str = "data", **faults: Any) -> ToyWorker:  # noqa: ANN401 - JSON
        """Start a worker; returns before it is ready. `rules="product"` starts the product's own."""
        log = self._folder / f"worker-{len(self.workers)}.log"
        self.workers.append(ToyWorker(log, self.environment(folder), faults))
        return self.workers[-1]

    def start_copy(self, code: Path, folder: str) -> ToyWorker:
        """Start the product's worker of a copy of the code; returns before it is ready."""
        log = self._folder / f"worker-{len(self.workers)}.log"
        self.workers.append(CopiedWorker(log, self.environment(folder), code))
        return self.workers[-1]

    def start_ready(self, folder: str = "data", **faults: Any) -> ToyWorker:  # noqa: ANN401 - JSON
        """Start a worker and return when it has taken over its partitions."""
        started = self.start(folder, **faults)
        eventually(started.is_ready, READY_SECONDS)
        return started

    def supervise(self, *workers: ToyWorker) -> None:
        """Start each of these again whenever it has ended: looked after while one waits for progress or the end."""
        self._supervised = list(workers)

    def _look_after_workers(self) -> None:
        ended = [one for one in self._supervised if one.exit_code is not None]
        assert not [one.log for one in ended if one.exit_code in _NEVER], "no fault of a broker explains that end"
        self._supervised = [self.start() if one in ended else one for one in self._supervised]
        self.workers[-1].require_running()

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that the next worker is started with, besides those of every lab."""
        return self._settings

    def environment(self, folder: str = "data") -> dict[str, str]:
        """Return the environment variables of a worker."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self._servers,
            "KAFKA_TOPIC_PREFIX": self.prefix,
            "KAFKA_PARTITIONS": str(self.partitions),
            "STREAMS_DATA_DIR": str(self._folder / folder),
            "STREAMS_FLUSH_MS": "20",
            "STREAMS_PROGRESS_MS": "100",
            "LOG_FORMAT": "text",
            **self._settings,
        }

    def kill(self, worker: ToyWorker) -> None:
        """Kill -9 a worker; its group forgets it."""
        worker.kill()
        self.expel(worker)

    def expel(self, dead: ToyWorker) -> None:
        """Remove a worker from its group, so that the group need not wait for its session to end."""
        members = self.admin.describe_groups([self.group])[self.group]["members"]
        gone = [member["member_id"] for member in members if member["client_id"].endswith(f"-{dead.pid}")]
        self.admin.remove_group_members(self.group, [MemberToRemove(member_id=member) for member in gone])

    def produce(self, records: Iterable[Record], pause: float = 0.0, transaction: str | None = None) -> None:
        """Send source records in order, with a pause after each; return when all are acknowledged."""
        options: dict[str, Any] = {"transactional_id": transaction} if transaction else {}
        producer = KafkaProducer(bootstrap_servers=self._servers, acks="all", max_request_size=2_000_000, **options)
        sent = []
        try:
            if transaction:
                producer.init_transactions()
                producer.begin_transaction()
            for partition, value in records:
                future = producer.send(CALLBACKS_RAW.name(self.prefix), value=value, partition=partition)
                sent.append(((partition, value), future))
                if pause:
                    time.sleep(pause)
            if transaction:
                producer.commit_transaction()
            producer.flush()
        finally:
            producer.close()
        self._records += [(record, future.get().offset) for record, future in sent]

    @contextmanager
    def flowing(self, records: Iterable[Record], pause: float = 0.01) -> Iterator[None]:
        """
        Send source records while the block runs, with a pause after each.

        Of `endless_traffic` there are always more: the workers are busy for the whole block, at any speed.
        All that was sent is acknowledged at the end.
        """
        over = threading.Event()
        with ThreadPoolExecutor(1, "flow") as pool:
            sending = pool.submit(self.produce, takewhile(lambda _: not over.is_set(), records), pause)
            try:
                yield
            finally:
                over.set()
            sending.result()

    def flow_until_frozen(self, worker: ToyWorker, seed: int) -> None:
        """Send traffic until a worker is frozen, then more, so that it holds no key's newest record."""
        records = endless_traffic(seed, self.partitions)
        with self.flowing(records):
            eventually(worker.is_frozen, READY_SECONDS)
        self.produce(islice(records, 100))

    def write(self, suffix: str, partition: int, key: bytes, value: bytes) -> None:
        """Write a record to a topic, as a foreign producer would."""
        producer = KafkaProducer(bootstrap_servers=self._servers, acks="all")
        producer.send(self.prefix + suffix, key=key, value=value, partition=partition)
        producer.close()

    def expire(self, partition: int, end: int) -> None:
        """Delete the records of a source partition below an offset, as retention does."""
        self.admin.delete_records({TopicPartition(CALLBACKS_RAW.name(self.prefix), partition): end})

    def forget(self, partition: int, begin: int, end: int) -> None:
        """Expect nothing of the records of a source partition from one offset up to another."""
        self._records = [
            ((number, value), offset)
            for (number, value), offset in self._records
            if number != partition or not begin <= offset < end
        ]

    def wait_for_progress(self, records: int, deadline: float = 60.0) -> None:
        """
        Return when the group has committed so many more records of the source: a worker is in full flight.

        They have to be on their way: of traffic that ends, all may have been committed before the first look.
        """
        raw = self.prefix + CALLBACKS_RAW.suffix

        def done() -> int:
            self._look_after_workers()
            return sum(offset for tp, offset in self.committed().items() if tp.topic == raw)

        before = eventually(lambda: (done(),), deadline)[0]
        eventually(lambda: done() >= before + records, deadline, every=0.05)

    def drain(self, deadline: float = 60.0) -> None:
        """Return when the group has committed the ends of all source topics; the newest worker must live."""

        def is_drained() -> bool:
            self._look_after_workers()
            return not self.lag()

        eventually(is_drained, deadline, every=0.1)

    def committed(self) -> dict[TopicPartition, int]:
        """Return the committed offsets of the group."""
        with self._patiently():
            offsets = self.admin.list_group_offsets({self.group: None})[self.group]
        return {tp: found.offset for tp, found in offsets.items() if found.offset > 0}

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets of the group, which has no members."""
        wanted = {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in offsets.items()}

        def is_done() -> bool:
            with self._patiently():
                errors = self.admin.alter_group_offsets(self.group, wanted)
            return all(error is NoError for error in errors.values())

        eventually(is_done, 60, every=0.2)

    def lag(self) -> int:
        """Return how many records of the source topics the group has not committed."""
        committed = self.committed()
        bounds = self._bounds(CALLBACKS_RAW.suffix, CAMPAIGN_PARTIALS.suffix, DELIVERY_PARTIALS.suffix)
        return sum(end - max(begin, committed.get(tp, 0)) for tp, (begin, end) in bounds.items())

    def ends(self, *suffixes: str) -> dict[TopicPartition, int]:
        """Return the end offset of every partition of topics."""
        return {tp: end for tp, (_, end) in self._bounds(*suffixes).items()}

    def _count_of(self, suffix: str) -> int:
        fixed = {topic.suffix: topic.partitions for topic in ALL_TOPICS}.get(suffix)
        return fixed or self.partitions

    def _bounds(self, *suffixes: str) -> dict[TopicPartition, tuple[int, int]]:
        tps = [TopicPartition(self.prefix + suffix, at) for suffix in suffixes for at in range(self._count_of(suffix))]
        consumer = KafkaConsumer(bootstrap_servers=self._servers)
        try:
            with self._patiently():
                begins, ends = consumer.beginning_offsets(tps), consumer.end_offsets(tps)
        finally:
            consumer.close()
        return {tp: (begins[tp], ends[tp]) for tp in tps}

    def read(self, suffix: str) -> Records:
        """Return all records of a topic that are there now."""
        consumer = KafkaConsumer(bootstrap_servers=self._servers, enable_auto_commit=False, group_id=None)
        try:
            tps = [TopicPartition(self.prefix + suffix, number) for number in range(self.partitions)]
            ends = consumer.end_offsets(tps)
            consumer.assign(tps)
            consumer.seek_to_beginning(*tps)
            records: list[tuple[int, bytes | None, bytes | None]] = []
            while any(consumer.position(tp) < ends[tp] for tp in tps):
                for tp, batch in consumer.poll(200).items():
                    records += [(tp.partition, record.key, record.value) for record in batch]
            return records
        finally:
            consumer.close()

    def differences(self) -> list[str]:
        """Return the differences between the topics and the truth about all produced records."""
        truth = Truth(self._records, self.partitions)
        return differences(truth, {name: self.read(name) for name in CHECKED_TOPICS})

    def verify(self, deadline: float = 60.0) -> None:
        """Drain, and wait until nothing differs from the truth; AssertionError says what still does."""
        self.drain()
        self.wait_for_truth(deadline)

    def wait_for_truth(self, deadline: float = 60.0) -> None:
        """Return when nothing differs from the truth; AssertionError says what still does."""

        def nothing_differs() -> bool:
            found = self.differences()
            assert not found, "\n".join(found)
            return True

        eventually(nothing_differs, deadline, every=0.2)
