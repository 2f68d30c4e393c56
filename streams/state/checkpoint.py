"""
Flush = checkpoint: the one place where the order of writes is decided.

    seal   everything applied since the last flush is set aside, one partition after the other
    (a)    outputs are acknowledged by the broker
    (b)    rows and source position of each partition are acknowledged, as one record batch
    (c)    the local store takes the same rows and the batch's offset, in one write
    (d)    only now may the source offsets be committed

Agents and HTTP answers go on meanwhile: long work is done in turns.

A crash before (b) replays the records: the same rows and the same outputs come again. A crash after (b) finds their
position in the changelog and skips them. No step is skipped: a failure ends the process.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from time import monotonic
from typing import Any, Final

from aiokafka.errors import KafkaError, ProducerFenced

from streams.contract.topics import Topic
from streams.domain.stage import Ending, Erasing, Output, Stage
from streams.errors import Die, Exit, die, place_of
from streams.state.changelog.batches import Batches, BatchTooLargeError, bundled
from streams.state.changelog.fence import ProducerEpoch
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.rows import endings
from streams.state.rows.partition import Checkpoint, Partition
from streams.state.rows.reserved_keys import ENDING, ERASED
from streams.state.store.stores import Store, StoreError
from streams.state.turns import Turns

RENEW_SECONDS: Final = 24 * 60 * 60.0
"""An owner asks for the next epoch after this time, so that the coordinator does not forget its producer id."""

_TOPIC_OF: Final = attrgetter("topic")

OnStep = Callable[[str, str], None]
"""Called as `on_step(table, step)` after each step of a flush and of a takeover; tests inject crashes with it."""


def no_step(_table: str, _step: str) -> None:
    """Do nothing after a step."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """The figures of one flush."""

    table: str
    seconds: float
    rows: int
    outputs: int


OnFlush = Callable[[Flushed], None]
"""Called after each flush that wrote something."""


def no_flush(_flushed: Flushed) -> None:
    """Do nothing after a flush."""


@dataclass(frozen=True)
class Spec:
    """
    The definition of one table: its stage, its source topic, and the topics that it writes.

    Partition p of an `exclusive` topic is written only by the owner of partition p, under the fence.
    """

    name: str
    stage: Stage
    source: Topic
    source_id: str
    partitions: int
    """Of the source and of all other topics."""
    exclusive: frozenset[Topic]
    bundled: frozenset[Topic] = frozenset()
    """Topics whose records of one flush and partition are joined as lines of one record: reading costs per record."""
    summary_seconds: Mapping[bytes, float] = field(default_factory=dict)
    """
    Prefix → a changed key with it is summarized at most once per interval; without an interval at every flush.
    """
    counted_by: tuple[Topic, ...] = ()
    """
    The topics whose lengths, added up, number the generations of this table's rows. A number that rows of an older
    generation gave out is smaller: with each further one they wrote a record to one of these topics.
    """
    erasing: Erasing | None = None
    """The erasures that are known and the rules of erasing; None for rows that have nothing of a recipient."""
    skip_expired: bool = False
    """Go on when source records expired unread; otherwise their partition cannot be taken over."""

    @property
    def intervals(self) -> dict[bytes, float]:
        """Return the interval of each prefix of summarized keys, in seconds."""
        return dict.fromkeys(self.stage.summarized, 0.0) | {**self.summary_seconds}


@dataclass(slots=True)
class Owned:
    """A partition that this worker alone writes: it holds the newest epoch and all rows."""

    partition: Partition
    writer: ProducerEpoch
    changelog_end: int
    """Offset of the last record in the changelog partition."""
    durable: int | None
    """The source offset that may be committed: all records before it are durable. None before the first checkpoint."""
    begin: int
    """The source's first offset at the takeover: records before it do not count as lag."""
    is_abandoned: bool = False
    """A record could not be applied: the rows are incomplete and must not be written."""


def _is_old(owned: Owned, now: float) -> bool:
    return now - owned.writer.since > RENEW_SECONDS


def _is_due(owned: Owned, now: float) -> bool:
    return not owned.is_abandoned and owned.partition.needs_flush(now)


@dataclass
class Routing:
    """The full name of each topic, and the partition of each output record."""

    name: Callable[[Topic], str]
    partition: Callable[[Output, int], int]


class Checkpointer:
    """
    The owned partitions of one table, and their flush.

    `check` is called before each durable write and ends the process when the partitions may have a newer owner. `die`
    ends the process after a failure, so that nothing more is written.
    """

    def __init__(  # noqa: PLR0913 - its ports, handed over once by the table
        self,
        spec: Spec,
        *,
        changelog: str,
        store: Store,
        batches: Callable[[], Batches],
        routing: Routing,
        check: Callable[[], None],
        die: Die = die,
        guards: Guards = ALL_GUARDS,
        on_step: OnStep = no_step,
        on_flush: OnFlush = no_flush,
        turns: Turns | None = None,
    ) -> None:
        self.spec: Final = spec
        self.changelog: Final = changelog
        self.store: Final = store
        self.batches: Final = batches
        self.owned: dict[int, Owned] = {}
        self.die: Final = die
        self.guards: Final = guards
        self._routing = routing
        self._check = check
        self._on_step = on_step
        self._on_flush = on_flush
        self.turns: Final = turns or Turns()
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Future[None]] = set()

    @property
    def source(self) -> str:
        """Return the full name of the source topic."""
        return self._routing.name(self.spec.source)

    @property
    def counted_by(self) -> list[str]:
        """Return the full names of the topics that number generations."""
        return [*map(self._routing.name, self.spec.counted_by)]

    def step(self, name: str) -> None:
        """Report that a step is done."""
        self._on_step(self.spec.name, name)

    def needs_flush(self) -> bool:
        """Return whether a flush would do anything."""
        now = monotonic()
        return any(_is_due(owned, now) or _is_old(owned, now) for owned in self.owned.values())

    async def flush(self) -> None:
        """Make everything durable that was applied before the call. Ends the process on failure."""
        await self._uncancelled(self._flush_or_die())

    async def release(self) -> None:
        """Give up all partitions at a rebalance or at the end. They must be flushed: the process ends otherwise."""
        async with self._lock:
            for owned in self.owned.values():
                if owned.partition.unsealed:
                    name = f"{self.spec.name}[{owned.partition.number}]"
                    self.die(Exit.UNFLUSHED_ROWS, f"{name} was revoked before its flush")
            self.owned.clear()

    def abandon(self, owned: Owned, ending: Ending) -> Coroutine[Any, Any, None]:
        """
        Write that a record ended this worker, and write nothing else of its partition from now on. Die after it.

        The rows have half of a piece, whose outputs are lost: no flush may seal them, from this call on and not only
        when it is awaited. Raises KafkaError when the broker does not acknowledge; the next owner then does not count
        this ending.
        """
        owned.is_abandoned = True
        return self._write_ending(owned, ending)

    async def _write_ending(self, owned: Owned, ending: Ending) -> None:
        async with self._lock:
            self._check()
            row = {ENDING: endings.written(ending)}
            await self.batches().send(self.changelog, owned.partition.number, row, owned.writer)

    async def hold_erasures(self, owned: Owned) -> None:
        """
        Let all known erasures hold in a partition from here on. Ends the process on failure.

        No record of the partition may be applied meanwhile.
        """
        await self._uncancelled(self._hold_or_die(owned))

    def erase_slice(self, owned: Owned) -> int:
        """Apply erasures to the next rows of a partition; return the bytes that its next flush must write."""
        number = owned.partition.number
        return owned.partition.erase_slice(lambda prefix, after: self.store.scan(number, prefix, after))

    def forget_slice(self, owned: Owned) -> int:
        """Delete those of a partition's next rows that are over; return the bytes that its next flush must write."""
        number = owned.partition.number
        return owned.partition.forget_slice(lambda prefix, after: self.store.scan(number, prefix, after))

    async def _uncancelled(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for work that goes on when the caller is cancelled: it would lose the changes that it has in hand."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def _flush_or_die(self) -> None:
        async with self._lock:
            started = monotonic()
            with self._fatal_errors():
                await self._renew(started)
                checkpoints = await self._seal(started)
                if checkpoints:
                    await self._write(checkpoints)
                    self._note(checkpoints, monotonic() - started)

    async def _hold_or_die(self, owned: Owned) -> None:
        async with self._lock:
            partition = owned.partition
            if owned.is_abandoned or self.owned.get(partition.number) is not owned or not partition.is_behind:
                return
            with self._fatal_errors():
                self._check()
                plan = partition.planned()
                # Alone: all outputs so far are of rows in which these erasures do not hold, and the next ones are not.
                rows = {ERASED: plan.written()}
                await self._send_rows(owned, Checkpoint(partition.number, [], {**rows}, None))
                self.step("erasures")
                self.store.write(partition.number, rows, owned.changelog_end)
                partition.begin_erasing(plan)

    @contextmanager
    def _fatal_errors(self) -> Iterator[None]:
        name = self.spec.name
        try:
            yield
        except ProducerFenced:
            self.die(Exit.FENCED, f"{name}: a partition has a newer owner")
        except (KafkaError, BatchTooLargeError) as error:
            self.die(Exit.FLUSH_FAILED, f"flush of {name} failed: {error!r}")
        except StoreError as error:
            self.die(Exit.FLUSH_FAILED, f"flush of {name} failed: {error}")
        except Exception as error:  # noqa: BLE001 - after any failure, source offsets must not be committed
            self.die(Exit.FLUSH_FAILED, f"flush of {name} failed: {place_of(error)}")

    async def _renew(self, now: float) -> None:
        """Ask for the next epoch of each old producer id. Between two flushes none of its batches is in flight."""
        for number, owned in [*self.owned.items()]:
            if not _is_old(owned, now):
                continue
            self._check()
            former, owned.writer = owned.writer, await self.batches().renewed(owned.writer)
            if owned.writer.producer_id != former.producer_id:
                name = f"{self.changelog}[{number}]"
                self.die(Exit.FENCED, f"{name} got another producer id, and is to be taken over anew")

    async def _seal(self, now: float) -> list[tuple[Owned, Checkpoint]]:
        due = [owned for owned in self.owned.values() if _is_due(owned, now)]
        checkpoints = []
        for owned in due:
            await self.turns.offer()
            if not owned.is_abandoned:  # it may have been abandoned meanwhile
                checkpoints.append((owned, owned.partition.seal(now)))
        return checkpoints

    async def _write(self, checkpoints: list[tuple[Owned, Checkpoint]]) -> None:
        self._check()
        await self._send_outputs(checkpoint for _, checkpoint in checkpoints)  # (a)
        self.step("outputs")
        self._check()
        await asyncio.gather(*(self._send_rows(owned, checkpoint) for owned, checkpoint in checkpoints))  # (b)
        self.step("changelog")
        for owned, checkpoint in checkpoints:  # (c)
            await self.turns.offer()
            self.store.write(checkpoint.partition, checkpoint.rows, owned.changelog_end)
        self.step("store")
        for owned, checkpoint in checkpoints:  # (d)
            if checkpoint.position is not None:
                owned.durable = checkpoint.position.offset

    async def _send_outputs(self, checkpoints: Iterable[Checkpoint]) -> None:
        batches = self.batches()
        await asyncio.gather(
            *(
                batches.send_all(
                    self._routing.name(topic),
                    partition,
                    bundled(outputs) if topic in self.spec.bundled else outputs,
                    self.owned[partition].writer if topic in self.spec.exclusive else None,
                )
                for topic, partition, outputs in await self._group(checkpoints)
            )
        )

    async def _group(self, checkpoints: Iterable[Checkpoint]) -> Iterable[tuple[Topic, int, list[Output]]]:
        groups: dict[tuple[str, int], tuple[Topic, int, list[Output]]] = {}

        def group(topic: Topic, partition: int) -> list[Output]:
            return groups.setdefault((topic.suffix, partition), (topic, partition, []))[2]

        partition_of = self._routing.partition
        for checkpoint in checkpoints:
            # Nearly all outputs are of one topic, whose partition is that of the rows.
            for topic, run in groupby(checkpoint.outputs, _TOPIC_OF):
                if topic in self.spec.exclusive:
                    group(topic, checkpoint.partition).extend(run)
                else:
                    for output in run:
                        group(topic, partition_of(output, checkpoint.partition)).append(output)
            await self.turns.offer()
        return groups.values()

    async def _send_rows(self, owned: Owned, checkpoint: Checkpoint) -> None:
        first, last = await self.batches().send(self.changelog, checkpoint.partition, checkpoint.rows, owned.writer)
        if first != owned.changelog_end + 1 and self.guards.alarms:
            self.die(
                Exit.FOREIGN_WRITE,
                f"{self.changelog}[{checkpoint.partition}]: expected offset {owned.changelog_end + 1}, got {first}",
            )
        owned.changelog_end = last

    def _note(self, checkpoints: list[tuple[Owned, Checkpoint]], seconds: float) -> None:
        rows = sum(len(checkpoint.rows) for _, checkpoint in checkpoints)
        outputs = sum(len(checkpoint.outputs) for _, checkpoint in checkpoints)
        self._on_flush(Flushed(self.spec.name, seconds, rows, outputs))
