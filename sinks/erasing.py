"""
Erasures in a sink: records are written without the data of erased people, and rows written before lose it.

1. All erasures are read before the first record. Killed here: nothing was written.
2. Each batch is written without the data that the erasures known at its beginning cover.
3. A later erasure is added between two batches, also while the store is being erased. So every batch written without
   it is in the store by then, and the store is erased after that. Killed before or in the middle: the sink that takes
   on the partitions erases the store again; it erases after each claim of partitions, since their former owner may
   have been killed at any step.
4. While Kafka does not tell whether there are further erasures, no batch is written: it may tell other records.

Two sinks may erase the same rows; the second one finds nothing. A row that another sink inserts meanwhile, without
knowing the erasure, is erased by that sink, or by its successor.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Final, NamedTuple, Protocol

from sinks.blanking import blanked
from sinks.errors import FatalError, SinksError
from sinks.metrics import Metrics, Readiness
from sinks.retry import Backoff
from sinks.sink import Sink
from sinks.source import Record, TopicPartition
from streams.contract.erasures import AnotherKeyError, Erasure, Erasures, Marks

logger = logging.getLogger(__name__)

_CONCERN: Final = "erasure"
_READING: Final = "erasures"
_POLL_SECONDS: Final = 1.0
_ASK_EVERY_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.1

CURRENT_SECONDS: Final = 30.0
"""For so long the erasures that were read count as all, after Kafka has said so. Most outages of Kafka are shorter."""

Blank = Callable[[str, Sequence[Record]], Sequence[Record]]
"""Takes a table and its records, and returns these without the data of erased people."""


class Known(NamedTuple):
    """The erasures that a sink knows at a moment."""

    erasures: Erasures
    digest: str
    """Of all of them: the same for the same erasures."""


class ErasureSource(Protocol):
    """The topic of erasures, from its beginning on."""

    def all(self) -> list[Erasure]:
        """Return the erasures that are on the topic now. ConnectError when Kafka does not tell all of them."""

    def read(self, seconds: float) -> list[Erasure]:
        """Wait at most so long for further erasures, and return them."""

    def has_all(self) -> bool:
        """Ask Kafka whether all erasures were returned; false, too, when it does not answer."""

    def close(self) -> None:
        """Close the connection."""


class MemoryErasures:
    """The twin of the topic, in memory."""

    def __init__(self) -> None:
        self.log: list[Erasure] = []
        self.is_away = False
        self._position = 0

    def all(self) -> list[Erasure]:
        """Return the erasures that are there."""
        return self.read(0)

    def read(self, seconds: float) -> list[Erasure]:
        """Return the erasures that were added since, without waiting."""
        del seconds
        found = [] if self.is_away else self.log[self._position :]
        self._position += len(found)
        return found

    def has_all(self) -> bool:
        """Return whether all were returned; false while the topic is away."""
        return not self.is_away and self._position == len(self.log)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class Store(Protocol):
    """The rows that a sink has written, for the eraser."""

    def erase(self, known: Known) -> int:
        """
        Erase the covered data, and return the number of changed rows.

        SinksError when the store cannot do it now: then it is called again.
        """


class Erasing:
    """The erasures that are known, for three threads: one adds them, one erases the store, and one writes batches."""

    def __init__(self, marks: Marks | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._erasures = Erasures(marks)
        self._clock = clock
        self._confirmed = inf
        self._writing = threading.Lock()
        self._fault: FatalError | None = None

    def add(self, erasures: Iterable[Erasure]) -> None:
        """
        Add erasures between two batches.

        FatalError when there is no key, or another one, to compare recipients with.
        """
        with self._writing:
            for erasure in erasures:
                try:
                    self._erasures.add(erasure)
                except AnotherKeyError as error:
                    raise FatalError(
                        f"{error}. Nothing is written without it: erased numbers would come back"
                    ) from error

    def confirm(self) -> None:
        """Note that these are all erasures, now. From the first time on that has to be noted again and again."""
        self._confirmed = self._clock()

    @property
    def is_current(self) -> bool:
        """Whether these were all erasures a moment ago."""
        return self._clock() - self._confirmed < CURRENT_SECONDS

    def fail(self, fault: FatalError) -> None:
        """Have nothing written any more: further erasures will not be known."""
        self._fault = fault

    @property
    def known(self) -> Known:
        """Return the erasures that are known; more may be added to them."""
        with self._writing:
            return self.known_while_writing

    @property
    def known_while_writing(self) -> Known:
        """Return the same, for the thread that writes a batch: it keeps others from being added."""
        return Known(self._erasures, self._erasures.digest.decode())

    @contextmanager
    def writing(self) -> Iterator[Blank]:
        """
        Let a batch be written, with the function that blanks its records; no erasure is added meanwhile.

        Waits while it is not known whether these are all. The fault is raised when there is one.
        """
        while self._fault is None and not self.is_current:
            time.sleep(_LOOK_SECONDS)
        with self._writing:
            if self._fault is not None:
                raise self._fault
            yield partial(blanked, erasures=self._erasures)


class Eraser:
    """
    Two threads: one reads further erasures, one erases the store after each, and after each claim of partitions.

    A store may take minutes, in which further erasures are to be known.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        erasing: Erasing,
        source: ErasureSource,
        store: Store,
        *,
        metrics: Metrics,
        readiness: Readiness,
        backoff: Backoff = Backoff(),  # noqa: B008 - immutable
    ) -> None:
        self._erasing = erasing
        self._source = source
        self._store = store
        self._metrics = metrics
        self._readiness = readiness
        self._backoff = backoff
        self._due = threading.Event()
        self._ended = threading.Event()
        self._asked = -inf
        self._threads = [
            threading.Thread(target=self._run, args=(work, close), name=name, daemon=True)
            for name, work, close in (
                ("erasures", self.follow, source.close),
                ("eraser", self.erase_when_due, lambda: None),
            )
        ]

    def start(self) -> None:
        """Begin; the erasures that the source had must have been added."""
        self._erasing.confirm()
        for thread in self._threads:
            thread.start()

    def erase_again(self) -> None:
        """Have the store erased once more: partitions were taken on, whose former owner may not have done it."""
        self._due.set()

    def close(self, seconds: float = 1.5) -> None:
        """End the threads; the next run erases the rest."""
        self._ended.set()
        self._due.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, work: Callable[[float], object], close: Callable[[], object]) -> None:
        try:
            while not self._ended.is_set():
                work(_POLL_SECONDS)
        except Exception as error:  # noqa: BLE001 - after any error the next erasure would not be seen
            self._fail(error if isinstance(error, FatalError) else FatalError(f"erasures are not read: {error!r}"))
        finally:
            # A consumer is of one thread.
            close()

    def _fail(self, fault: FatalError) -> None:
        self._erasing.fail(fault)
        self._readiness.trouble(_CONCERN, str(fault))
        logger.error(str(fault))

    def step(self, seconds: float) -> None:
        """Take up further erasures, and erase the store if that is due."""
        self.follow(seconds)
        self.erase_when_due(0)

    def follow(self, seconds: float) -> None:
        """Take up further erasures, and ask now and then whether these are all."""
        if found := self._source.read(seconds):
            self._erasing.add(found)
            self._due.set()
        if (now := time.monotonic()) - self._asked >= _ASK_EVERY_SECONDS or not self._erasing.is_current:
            self._asked = now
            if self._source.has_all():
                self._erasing.confirm()
            if self._erasing.is_current:
                self._readiness.fine(_READING)
            else:
                self._readiness.trouble(_READING, "Kafka does not tell which numbers are erased: nothing is written")

    def erase_when_due(self, seconds: float) -> None:
        """Erase the store, if that is due within so many seconds."""
        if self._due.wait(seconds):
            self._due.clear()
            self._erase()

    def _erase(self) -> None:
        known = self._erasing.known
        if not known.erasures:
            return
        failures = 0
        while not self._ended.is_set():
            try:
                rows = self._store.erase(known)
            except SinksError as error:
                # Records are written without the data meanwhile.
                failures += 1
                self._readiness.trouble(_CONCERN, f"not everything is erased yet: {error}")
                logger.warning("will erase again", extra={"error": str(error)})
                self._ended.wait(self._backoff.delay(failures))
            else:
                self._readiness.fine(_CONCERN)
                self._metrics.erased.inc(rows)
                logger.info("the store is erased", extra={"erasures": len(known.erasures), "rows": rows})
                return


def met_none() -> bool:
    """Return false: in this store a former owner writes nothing any more."""
    return False


class ErasingSink:
    """
    Implements `Sink` by another one: has the store erased after each claim of partitions.

    `met_others` tells after each write whether rows of another process were met since, which may know fewer erasures:
    then the store is erased, too.
    """

    def __init__(
        self, sink: Sink, erase_again: Callable[[], object], met_others: Callable[[], bool] = met_none
    ) -> None:
        self.name = sink.name
        self._sink = sink
        self._erase_again = erase_again
        self._met_others = met_others

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Take on partitions as the sink does."""
        taken = self._sink.claim(partitions)
        if taken:
            self._erase_again()
        return taken

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Give up partitions as the sink does."""
        self._sink.release(partitions)

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """Write rows as the sink does."""
        try:
            self._sink.write(table, rows)
        finally:
            if self._met_others():
                self._erase_again()

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
