"""
One batch into the store: written again until the store takes it, without the rows that it never takes.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from sinks.batch import Batch
from sinks.erasing import Blank, Erasing
from sinks.errors import PermanentError, RetryableError
from sinks.metrics import Metrics, Readiness
from sinks.rejections import Flood, Rejections, rejection_of
from sinks.retry import Backoff
from sinks.rows import NOT_AN_OBJECT, Sorted, sort_out
from sinks.sink import Sink
from sinks.source import Record
from sinks.tables import RAW_CALLBACKS_TABLE

logger = logging.getLogger(__name__)

Refine = Callable[[Record], Record]
"""Gives the form in which a record goes to the store, and to `sinks.rejected`."""


class Writer:
    """
    Writes batches, one at a time.

    When `write` returns, every record of the batch is in the store, is in `sinks.rejected`, or has no value. Only then
    may its offsets be committed. It waits as long as the store is away. After a FatalError the batch has to be read
    again.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        sink: Sink,
        rejections: Rejections,
        tables: Mapping[str, str],
        *,
        flood: Flood,
        metrics: Metrics,
        readiness: Readiness,
        erasing: Erasing | None = None,
        refine: Mapping[str, Refine] = MappingProxyType({}),
        backoff: Backoff = Backoff(),  # noqa: B008 - immutable
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._sink = sink
        self._rejections = rejections
        self._tables = tables
        self._flood = flood
        self._metrics = metrics
        self._readiness = readiness
        self._erasing = erasing or Erasing()
        self._refine = refine
        self._backoff = backoff
        self._sleep = sleep

    def write(self, batch: Batch) -> None:
        """Write all tables of the batch, without the data of erased people. FatalError when these are not known."""
        if not len(batch):
            return
        started = time.perf_counter()
        with self._erasing.writing() as blank:
            self._write_tables(batch, blank)
        self._metrics.batch_rows.observe(len(batch))
        self._metrics.write_seconds.observe(time.perf_counter() - started)

    def _write_tables(self, batch: Batch, blank: Blank) -> None:
        for table, records in self._by_table(batch).items():
            refine = self._refine.get(table)
            kept = blank(table, [*map(refine, records)] if refine else records)
            # The archive takes any bytes, and none: its offsets have no gaps.
            parts = Sorted(list(kept)) if table == RAW_CALLBACKS_TABLE else sort_out(kept)
            # Before the rows: in files a written row is a commit, and an earlier record would not be read again.
            for record in parts.unusable:
                self._give_up(table, record, NOT_AN_OBJECT)
            if parts.rows:
                self._write_rows(table, parts.rows)
            self._metrics.empty.labels(table).inc(parts.empty)

    def _by_table(self, batch: Batch) -> dict[str, list[Record]]:
        tables: dict[str, list[Record]] = {}
        for partition, records in batch.records.items():
            tables.setdefault(self._tables[partition.topic], []).extend(records)
        return tables

    def _write_rows(self, table: str, rows: Sequence[Record]) -> None:
        """Write the rows. Refused rows are halved until the bad one is alone; it is given up."""
        try:
            self._insist(table, lambda: self._sink.write(table, rows))
        except PermanentError as refusal:
            if len(rows) == 1:
                self._give_up(table, rows[0], str(refusal))
                return
            middle = len(rows) // 2
            self._write_rows(table, rows[:middle])
            self._write_rows(table, rows[middle:])
        else:
            self._metrics.rows.labels(table).inc(len(rows))

    def _give_up(self, table: str, record: Record, error: str) -> None:
        self._flood.count()
        rejection = rejection_of(record, self._sink.name, table, error)
        self._insist(table, lambda: self._rejections.add(rejection))
        self._metrics.rejected.labels(table).inc()
        logger.warning(
            "row refused",
            extra={"table": table, "topic": record.topic, "partition": record.partition, "offset": record.offset},
        )

    def _insist(self, table: str, attempt: Callable[[], None]) -> None:
        failures = 0
        while True:
            try:
                attempt()
            except RetryableError as error:
                failures += 1
                delay = self._backoff.delay(failures)
                self._metrics.retries.labels(table).inc()
                self._readiness.trouble("store", str(error))
                logger.warning("will try again", extra={"table": table, "error": str(error), "seconds": delay})
                self._sleep(delay)
            else:
                break
        self._readiness.fine("store")


class Writing:
    """
    One batch being written, on a thread of its own: the caller goes on polling.

    `confirm` returns when it is known that the records are of the topics that the source was opened with.
    """

    def __init__(self, writer: Writer, batch: Batch, confirm: Callable[[], None]) -> None:
        self.batch = batch
        self._writer = writer
        self._confirm = confirm
        self._error: BaseException | None = None
        # A daemon: a store that hangs must not keep the process from ending. An unfinished batch is read again.
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._confirm()
            self._writer.write(self.batch)
        except BaseException as error:  # noqa: BLE001 - `finished` raises it
            self._error = error

    def ended(self, seconds: float) -> bool:
        """Wait at most that long, and return whether the writer ended: the batch is written, or an error came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def finished(self, seconds: float) -> bool:
        """Wait at most that long, and return whether the batch is written. Raises the error of the writer."""
        ended = self.ended(seconds)
        if self._error is not None:
            raise self._error
        return ended
