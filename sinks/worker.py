"""
The loop: poll → batch → write → commit, in this order and never another.

1. Records are collected while the batch before them is being written.
2. A due batch is written. Killed here: nothing is committed, all of it is read and written again.
3. What was written is committed. Killed between 2 and 3: the same; the store ends as if it had been written once.

A partition that is taken away: what is collected of it is dropped, for its new owner reads it from the commit on.
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

_log = logging.getLogger(__name__)

_POLL_RECORDS: Final = 5_000
_POLL_SECONDS: Final = 0.2
_BUSY_POLL_SECONDS: Final = 0.02
_SHOW_SECONDS: Final = 1.0
# Heartbeats leave every second. While the group is shared out anew there are none: usually for less than this.
_SILENCE_SECONDS: Final = 15.0


class Stop(Protocol):
    """Says when to end; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Return whether it is time."""


class Worker:
    """Moves records from a source to a sink until it is told to stop; one thread owns it."""

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
    ) -> None:
        self._source = source
        self._sink = sink
        self._writer = writer
        self._limits = limits
        self._metrics = metrics
        self._readiness = readiness
        self._clock = clock
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
        """Do one round: at most one poll, and whatever became due."""
        polled = self._source.poll(self._patience(), self._appetite())
        self._note_group(polled)
        now = self._clock()
        for partition, records in polled.records.items():
            self._batch.add(TopicPartition(*partition), records, now)
        # With nothing left to read, waiting for the store is what there is to do.
        self._finish_writing(_BUSY_POLL_SECONDS if self._batch.is_full else 0)
        if self._writing is None:
            self._take_turn(now)
        if self._batch.is_full:
            self._source.pause()
        else:
            self._source.resume()
        self._show_state(now)

    def drain(self, seconds: float) -> None:
        """
        Write and commit what is collected, then leave the group.

        A store that does not take it in `seconds` is left alone: what is not committed is read again by the next.
        """
        deadline = self._clock() + seconds
        while self._writing is not None or len(self._batch):
            if self._writing is None:
                self._begin_writing()
            if not self._finish_writing(max(0.0, deadline - self._clock())):
                _log.warning("stopped before the store took everything: it will be read again")
                break
        self._commit()
        self._source.close()
        if self._writing is None:
            self._sink.release(self._owned | self._leaving)

    def _patience(self) -> float:
        """Return the seconds for which a poll may wait for records."""
        if self._writing is None:
            return min(_POLL_SECONDS, self._batch.due_in(self._clock()))
        return 0 if self._batch.is_full else _BUSY_POLL_SECONDS

    def _appetite(self) -> int:
        """Return how many records a poll may bring: while the store is at work, those of a larger batch."""
        wanted = self._limits.rows if self._writing else self._batch.rows_until_due
        return max(1, min(wanted, _POLL_RECORDS))

    def _take_turn(self, now: float) -> None:
        """Do what can be done while nothing is being written."""
        if self._arriving or self._leaving:
            self._commit()
            self._settle_partitions()
        # First, so that the store has something to do in the meantime.
        if self._batch.due_in(now) <= 0:
            self._begin_writing()
        self._commit()

    def _note_group(self, polled: Polled) -> None:
        if polled.revoked:
            dropped = self._batch.drop(polled.revoked)
            self._leaving |= polled.revoked
            self._arriving -= polled.revoked
            self._owned -= polled.revoked
            _log.info("partitions revoked", extra={"partitions": len(polled.revoked), "dropped_records": dropped})
        if polled.assigned:
            self._arriving |= polled.assigned
            _log.info("partitions assigned", extra={"partitions": len(polled.assigned)})
        if polled.shared_out:
            self._readiness.fine("group")

    def _settle_partitions(self) -> None:
        """Give back and take on partitions: only while nothing is being written, so that positions are certain."""
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
                    self._written[partition] = (first, int(time.time() * 1000))
        except RetryableError as error:
            _log.warning("will ask again where to begin", extra={"error": str(error)})
        if self._arriving:
            self._readiness.trouble("partitions", f"{len(self._arriving)} not taken on yet")
        else:
            self._readiness.fine("partitions")

    def _begin_writing(self) -> None:
        self._writing = Writing(self._writer, self._batch)
        self._batch = Batch(self._limits)

    def _finish_writing(self, seconds: float) -> bool:
        """Wait for the batch in flight; when it is written, its positions are waiting to be committed."""
        if self._writing is None:
            return True
        if not self._writing.finished(seconds):
            return False
        batch = self._writing.batch
        self._writing = None
        self._uncommitted.update(batch.positions)
        for partition, records in batch.records.items():
            self._written[partition] = (records[-1].offset + 1, records[-1].timestamp)
        return True

    def _commit(self) -> None:
        # Positions of partitions that were taken away are their new owner's to commit.
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
        self._show_lag(int(time.time() * 1000))
        silence = self._source.silence()
        if silence < _SILENCE_SECONDS:
            self._readiness.fine("kafka")
        else:
            self._readiness.trouble("kafka", f"no answer for {silence:.0f} s")

    def _show_lag(self, now_ms: int) -> None:
        """
        Show how far behind the store is.

        The oldest record that waits is the first that is collected. Before it was fetched, it is known to be younger
        than the last one that was written, and than the last moment at which nothing waited.
        """
        ends = self._source.ends()
        for partition, (position, _) in self._written.items():
            if ends.get(partition, position + 1) <= position:
                self._written[partition] = (position, now_ms)
        collected = [self._batch, *([self._writing.batch] if self._writing else [])]
        oldest = {name: records[0].timestamp for batch in collected for name, records in batch.records.items()}
        waiting = {name: (position, oldest.get(name, since)) for name, (position, since) in self._written.items()}
        self._metrics.show_lag(ends, waiting, now_ms)
