"""
A look at the schema once a minute, and no insert while an object is missing that rows go through.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.differences import Comparison, Difference
from sinks.clickhouse.migrate import look
from sinks.errors import FatalError, RetryableError, SchemaError, ShortError, SinksError
from sinks.metrics import Metrics, Readiness
from sinks.sink import Sink
from sinks.source import Record, TopicPartition
from streams.program.vitals import Disk

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
_AWAY_SECONDS: Final = 5.0
"""After a look that failed: the sink is ready again soon after ClickHouse is."""


class SchemaWatch:
    """
    Knows how the database differed from the schema when it was last looked at; shows it in readiness and metrics.

    May be used by two threads, each with a connection of its own.
    """

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        differences_of_retention: Callable[[ClickHouse], tuple[Difference, ...]] = lambda _: (),
        disks_of: Callable[[ClickHouse], Sequence[Disk]] = lambda _: (),
    ) -> None:
        self._metrics = metrics
        self._differences_of_retention = differences_of_retention
        self._disks_of = disks_of
        self._readiness = readiness
        self._lock = threading.Lock()
        self._found = Comparison()
        self._others_count = False
        self.disks: Sequence[Disk] = ()
        """The disks of ClickHouse as of the last look."""

    @property
    def losses(self) -> str:
        """Return a line for each difference by which rows would be lost; empty when there is none."""
        return "\n".join(str(difference) for difference in self._found.differences if difference.loses_rows)

    @property
    def others_count(self) -> bool:
        """Return whether views of others take rows from our tables: their rows may stand for missing ones of ours."""
        return self._others_count

    def note_more(self) -> None:
        """Note that ClickHouse counted more rows than ours: there is a view of others that no look has seen yet."""
        self._others_count = True

    def look(self, clickhouse: ClickHouse) -> None:
        """Look at the database. RetryableError or FatalError when it does not answer: then nothing new is known."""
        try:
            found = look(clickhouse)
        except SchemaError:
            # Of another version, which has changed the schema while this one runs: not ours to judge.
            found = Comparison()
        else:
            found = replace(found, differences=found.differences + self._differences_of_retention(clickhouse))
        differences = found.differences
        self.disks = self._disks_of(clickhouse)
        with self._lock:
            if differences != self._found.differences:
                _log(differences)
            self._found = found
            self._others_count = bool(found.other_views)
        self._metrics.schema_differences.set(len(differences))
        if differences:
            self._readiness.trouble("schema", "; ".join(map(str, differences)))
        else:
            self._readiness.fine("schema")

    def look_again_and_again(
        self, connect: Callable[[], ClickHouse], seconds: float = LOOK_SECONDS
    ) -> Callable[[], None]:
        """
        Look on a thread of its own, once in so many seconds, sooner after a failure; return the function that ends it.

        A look that fails makes the sink not ready: without rows to write, nothing else would tell.
        """
        ended = threading.Event()

        def run() -> None:
            pause = seconds
            while not ended.wait(pause):
                try:
                    with closing(connect()) as clickhouse:
                        self.look(clickhouse)
                except SinksError as error:
                    logger.debug("the schema was not looked at", extra={"error": str(error)})
                    self._readiness.trouble("clickhouse", str(error))
                    pause = min(seconds, _AWAY_SECONDS)
                else:
                    pause = seconds
                    self._readiness.fine("clickhouse")

        threading.Thread(target=run, name="schema", daemon=True).start()
        return ended.set


def _log(differences: Iterable[Difference]) -> None:
    lines = [str(difference) for difference in differences]
    for line in lines:
        logger.error(line)
    if not lines:
        logger.info("the schema is whole again")


class WatchedSink:
    """Implements `Sink` by another one, of ClickHouse: inserts only while no row would be lost."""

    name = "clickhouse"

    def __init__(self, sink: Sink, watch: SchemaWatch, clickhouse: ClickHouse) -> None:
        self._sink = sink
        self._watch = watch
        self._clickhouse = clickhouse

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Take on partitions as the sink does."""
        return self._sink.claim(partitions)

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Give up partitions as the sink does."""
        self._sink.release(partitions)

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """
        Write the rows. RetryableError, with a line for people, while an object is missing that rows go through.

        The schema is looked at again when it may be the reason of an error, and after each insert while the count of
        written rows is not ours alone.
        """
        if self._watch.losses:
            self._require_schema()
        try:
            self._sink.write(table, rows)
        except (ShortError, FatalError):
            self._require_schema()
            raise
        if self._watch.others_count:
            self._require_schema()

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()

    def _require_schema(self) -> None:
        self._watch.look(self._clickhouse)
        if losses := self._watch.losses:
            raise RetryableError(losses.replace("\n", "; "))
