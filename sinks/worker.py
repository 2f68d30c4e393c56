"""
The loop: poll → batch → write → commit, in this order and never another.

1. Records are collected while the batch before them is being written.
2. Kafka says that the topics are still the ones that were opened, and a due batch is written. Killed here: nothing of
   it is committed, so all of it is read and written again.
3. Its offsets are committed. Killed between 2 and 3: the same; the store ends as if the batch was written once.

When a partition is revoked, its collected records are dropped: its new owner reads from the commit on.
"""

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from sinks.batch import Batch, Limits
from sinks.errors import RetryableError
from sinks.metrics import Metrics, Readiness
from sinks.sink import Sink
from sinks.source import Polled, Source, TopicPartition
from sinks.writer import Writer, Writing

logger = logging.getLogger(__name__)

_MOST_RECORDS_OF_A_POLL: Final = 5_000
_IDLE_POLL_SECONDS: Final = 0.2
_BUSY_POLL_SECONDS: Final = 0.02
_SHOW_SECONDS: Final = 1.0
# A heartbeat is sent every second, but none during a rebalance, which usually takes less than this.
_SILENCE_SECONDS: Final = 15.0


class Stop(Protocol):
    """Tells the loop when to end; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Return whether to end."""


class Worker:
    """Moves records from a source to a sink until it is told to stop. For one thread."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        source: Source,
        sink: Sink,
        writer: Writer,
        *,
        limits: Limits,
        metrics: Metrics,
        readiness: Readiness,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._sink = sink
        self._writer = writer
        self._limits = limits
        self._metrics = metrics
        self._readiness = readiness
        self._clock = clock
        self._wall_clock = wall_clock
        self._batch = Batch(limits)
        self._writing: Writing | None = None
        self._owned: set[TopicPartition] = set()
        self._arriving: set[TopicPartition] = set()
        self._leaving: set[TopicPartition] = set()
        self._written: dict[TopicPartition, tuple[int, int]] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._shown = 0.0

    def run(self, stop: Stop, drain_seconds: float) -> None:
        """Work until `stop` is set, then drain and leave. FatalError when a person has to act."""
        while not stop.is_set():
            self.step()
        self.drain(drain_seconds)

    def step(self) -> None:
        """Do one round: one poll, then the writes and commits that are due."""
        polled = self._source.poll(self._poll_seconds(), self._poll_records())
        self._note_rebalance(polled)
        now = self._clock()
        self._note_expired(polled, now)
        for partition, records in polled.records.items():
            self._batch.add(TopicPartition(*partition), records, now)
        # A full batch takes no records: wait for the store.
        self._finish_writing(_BUSY_POLL_SECONDS if self._batch.is_full else 0)
        if self._writing is None:
            self._between_writes(now)
        if self._batch.is_full:
            self._source.pause()
        else:
            self._source.resume()
        self._show_state(now)

    def drain(self, seconds: float) -> None:
        """
        Write and commit the collected records, then leave the group.

        It waits at most `seconds` for the store: records that are not committed are read again by the next run.
        """
        deadline = self._clock() + seconds
        while self._writing is not None or self._batch.positions:
            if self._writing is None:
                self._begin_writing()
            if not self._finish_writing(max(0.0, deadline - self._clock())):
                logger.warning("stopped before the store took everything: it will be read again")
                break
        self._commit()
        self._source.close()
        if self._writing is None:
            self._sink.release(self._owned | self._leaving)

    def _poll_seconds(self) -> float:
        """Return how long a poll may wait for records."""
        if self._writing is None:
            return min(_IDLE_POLL_SECONDS, self._batch.due_in(self._clock()))
        return 0 if self._batch.is_full else _BUSY_POLL_SECONDS

    def _poll_records(self) -> int:
        """Return how many records a poll may return: more while a batch is being written, for the next one may grow."""
        wanted = self._limits.rows if self._writing else self._batch.rows_until_due
        return max(1, min(wanted, _MOST_RECORDS_OF_A_POLL))

    def _between_writes(self, now: float) -> None:
        """Commit, take on and give up partitions, and begin the next write: all that has to wait for the last one."""
        if self._arriving or self._leaving:
            self._commit()
            self._settle_partitions()
        # Before the commit: the store works while Kafka answers.
        if self._batch.due_in(now) <= 0:
            self._begin_writing()
        self._commit()

    def _note_rebalance(self, polled: Polled) -> None:
        if polled.revoked:
            dropped = self._batch.drop(polled.revoked)
            self._leaving |= polled.revoked
            self._arriving -= polled.revoked
            self._owned -= polled.revoked
            logger.info("partitions revoked", extra={"partitions": len(polled.revoked), "dropped_records": dropped})
        if polled.assigned:
            self._arriving |= polled.assigned
            logger.info("partitions assigned", extra={"partitions": len(polled.assigned)})
        if polled.rebalanced:
            self._readiness.fine("group")

    def _note_expired(self, polled: Polled, now: float) -> None:
        for partition, first, following in polled.expired:
            logger.error(
                "records expired in Kafka before they were read: the sink goes on without them",
                extra={
                    "topic": partition.topic,
                    "partition": partition.partition,
                    "from_offset": first,
                    "to_offset": following - 1,
                    "offsets": following - first,
                },
            )
            self._metrics.expired.labels(partition.topic, partition.partition).inc(following - first)
            if partition in self._owned:
                self._batch.pass_over(partition, following, now)

    def _settle_partitions(self) -> None:
        """Give up and take on partitions. Positions are certain only while nothing is being written."""
        if self._leaving:
            self._sink.release(self._leaving)
            self._leaving.clear()
        if not self._arriving:
            return
        try:
            for partition, position in self._sink.claim(sorted(self._arriving)).items():
                first = self._source.begin(partition, position)
                self._arriving.discard(partition)
                self._owned.add(partition)
                if first is not None:
                    self._written[partition] = (first, self._now_ms())
                    # Committed even if no record comes: later it is known from where records expired.
                    self._batch.pass_over(partition, first, self._clock())
        except RetryableError as error:
            logger.warning("will ask again where to begin", extra={"error": str(error)})
        if self._arriving:
            self._readiness.trouble("partitions", f"{len(self._arriving)} not taken on yet")
        else:
            self._readiness.fine("partitions")

    @property
    def is_writing(self) -> bool:
        """Return whether a batch is being written, or its result is not taken up yet."""
        return self._writing is not None

    def writing_done(self, seconds: float) -> bool:
        """Wait at most that long for the batch in flight, for the next `step` to take up; return whether it ended."""
        return self._writing is None or self._writing.ended(seconds)

    def _begin_writing(self) -> None:
        self._writing = Writing(self._writer, self._batch, self._source.confirm)
        self._batch = Batch(self._limits)

    def _finish_writing(self, seconds: float) -> bool:
        """Wait for the batch in flight, and return whether none is left. A written batch is due to be committed."""
        if self._writing is None:
            return True
        if not self._writing.finished(seconds):
            return False
        batch = self._writing.batch
        self._writing = None
        self._uncommitted.update(batch.positions)
        for partition, position in batch.positions.items():
            if records := batch.records.get(partition):
                self._written[partition] = (position, records[-1].timestamp)
            elif position > self._written[partition][0]:
                self._written[partition] = (position, self._now_ms())
        return True

    def _commit(self) -> None:
        # A revoked partition is committed by its new owner.
        ours = self._owned | self._arriving
        mine = {partition: position for partition, position in self._uncommitted.items() if partition in ours}
        if not mine or self._source.commit(mine):
            self._uncommitted.clear()
        else:
            self._metrics.commits_failed.inc()

    def _show_state(self, now: float) -> None:
        if now - self._shown < _SHOW_SECONDS:
            return
        self._shown = now
        self._show_lag(self._now_ms())
        if missing := self._source.missing():
            self._readiness.trouble("topics", f"not in Kafka any more, or not for this user: {', '.join(missing)}")
        else:
            self._readiness.fine("topics")
        silence = self._source.silence()
        if silence < _SILENCE_SECONDS:
            self._readiness.fine("kafka")
        else:
            self._readiness.trouble("kafka", f"no answer for {silence:.0f} s")

    def _now_ms(self) -> int:
        """Return the time as Kafka's timestamps have it."""
        return int(self._wall_clock() * 1000)

    def _show_lag(self, now_ms: int) -> None:
        """
        Show how far behind the store is, per partition.

        The lag in seconds is the age of the first collected record. While none is fetched, the oldest waiting record is
        younger than the last written one, and than the last moment without a lag: the later of the two is shown.
        """
        ends = self._source.ends()
        for partition, (position, _) in self._written.items():
            if ends.get(partition, position + 1) <= position:
                self._written[partition] = (position, now_ms)
        collected = [self._batch, *([self._writing.batch] if self._writing else [])]
        oldest = {name: records[0].timestamp for batch in collected for name, records in batch.records.items()}
        waiting = {name: (position, oldest.get(name, since)) for name, (position, since) in self._written.items()}
        self._metrics.show_lag(ends, waiting, now_ms)
