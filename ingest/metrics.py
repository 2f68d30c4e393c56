"""
Every metric of ingest, named once, and its numbers: one page of floats per worker, in shared memory.

A worker writes its own page and reads all of them when it is asked for `/metrics`, so any worker answers for all. The
process that started the workers has a page, too. There are no locks: a page has one writer, and an aligned eight-byte
number is read whole.
"""

import mmap
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from ingest.causes import Cause
from streams.contract.records import Reason

_PREFIX: Final = "routee_ingest_"
_NUMBER: Final = 8

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
_CALLBACKS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_BYTES: Final = (1_000, 4_000, 16_000, 64_000, 256_000, 900_000)


@dataclass(frozen=True, slots=True)
class _Spec:
    """
    One metric: `label` with its `values`, or `bounds` of a histogram; `start` is its place on a page.

    `sum_at` is the place of a histogram's sum. A gauge is the sum over all workers; with `least` it is the smallest
    that one of them has set, if any has.
    """

    name: str
    about: str
    start: int
    label: str | None = None
    values: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    gauge: bool = False
    least: bool = False
    sum_at: int = 0

    @property
    def width(self) -> int:
        """The count of its numbers: a histogram has a bucket above its last bound, and a sum."""
        return len(self.bounds) + 2 if self.bounds else len(self.values) or 1


def _laid_out(*specs: _Spec) -> tuple[_Spec, ...]:
    """Give each metric its place behind the one before."""
    placed, start = [], 0
    for spec in specs:
        placed.append(replace(spec, start=start, sum_at=start + len(spec.bounds) + 1))
        start += placed[-1].width
    return tuple(placed)


_SPECS: Final = _laid_out(
    _Spec("accepted", "callbacks in the raw topic, acknowledged and answered 200", 0),
    _Spec(
        "rejected",
        "bodies in the rejected topic, acknowledged",
        0,
        "reason",
        (Reason.NOT_JSON, Reason.NOT_OBJECT, Reason.NO_KEY, Reason.TOO_DEEP),
    ),
    _Spec("repaired", "callbacks among the accepted ones that were repaired", 0),
    _Spec(
        "refused",
        "requests that were not stored, and connections that were closed before one, by cause",
        0,
        "cause",
        tuple(Cause),
    ),
    _Spec("stored_late", "callbacks that Kafka acknowledged after they had been answered 503", 0),
    _Spec("answer_seconds", "from the last byte of a callback to its answer", 0, bounds=_SECONDS),
    _Spec("envelope_callbacks", "callbacks that became durable together", 0, bounds=_CALLBACKS),
    _Spec("envelope_bytes", "their bytes", 0, bounds=_BYTES),
    _Spec("kafka_ack_seconds", "from handing an envelope to Kafka's client to its acknowledgement", 0, bounds=_SECONDS),
    _Spec("pending_bytes", "taken and not yet acknowledged", 0, gauge=True),
    _Spec("connections", "open connections", 0, gauge=True),
    _Spec("ready", "workers that can store callbacks", 0, gauge=True),
    _Spec("workers_missing", "workers that died or do not respond, and are not replaced yet", 0, gauge=True),
    _Spec(
        "certificate_end_seconds",
        "until when the certificate is valid that new connections get, in seconds since 1970 UTC",
        0,
        gauge=True,
        least=True,
    ),
    _Spec("workers_replaced", "workers that did not respond and were replaced", 0),
)
_BY_NAME: Final = {spec.name: spec for spec in _SPECS}
_ANSWER_SECONDS: Final = _BY_NAME["answer_seconds"]
_ENVELOPE_CALLBACKS: Final = _BY_NAME["envelope_callbacks"]
_ENVELOPE_BYTES: Final = _BY_NAME["envelope_bytes"]
_ACK_SECONDS: Final = _BY_NAME["kafka_ack_seconds"]
_PAGE: Final = sum(spec.width for spec in _SPECS)


class Pages:
    """
    The numbers of all workers and of their parent, and the heartbeats of the workers.

    Made before the workers are forked, so that they share them. `of_parent` is the place of the parent's page.
    """

    def __init__(self, workers: int) -> None:
        pages = (workers + 1) * _PAGE
        self._memory = mmap.mmap(-1, (pages + workers + workers + 1) * _NUMBER)
        self._numbers: memoryview[float] = memoryview(self._memory).cast("d")
        self.of_parent = workers
        self.beats: memoryview[float] = self._numbers[pages : pages + workers]
        self._pids = self._numbers[pages + workers :]

    def page(self, worker: int) -> "memoryview[float]":
        """Return the numbers of one worker, counters as a worker before it left them, gauges at zero."""
        page = self._numbers[worker * _PAGE : (worker + 1) * _PAGE]
        for spec in _SPECS:
            if spec.gauge:
                page[spec.start] = 0.0
        return page

    def note_process(self, worker: int) -> None:
        """Note that the current process is the one that writes this page."""
        self._pids[worker] = os.getpid()

    def processes(self) -> dict[str, int]:
        """Return the process ids of the workers by their numbers, with the parent; a lone process has no name."""
        found = {worker: int(pid) for worker, pid in enumerate(self._pids) if pid}
        if len(found) == 1:
            return {"": found.popitem()[1]}
        return {"parent" if worker == self.of_parent else str(worker): pid for worker, pid in found.items()}

    def totals(self) -> list[float]:
        """Return the sums over all pages; of some gauges the smallest number that is set, 0 when none is."""
        pages = [self._numbers[place * _PAGE : (place + 1) * _PAGE] for place in range(self.of_parent + 1)]
        totals = [sum(numbers) for numbers in zip(*pages, strict=True)]
        for spec in _SPECS:
            if spec.least:
                totals[spec.start] = min(filter(None, (page[spec.start] for page in pages)), default=0.0)
        return totals


class Metrics:
    """The counts of one worker, or of the parent of all."""

    def __init__(self, pages: Pages | None = None, worker: int = 0) -> None:
        self._pages = pages or Pages(1)
        self._page = self._pages.page(worker)
        self._worker = worker
        self._pages.note_process(worker)
        refused, rejected = _BY_NAME["refused"], _BY_NAME["rejected"]
        self._refused = {cause: refused.start + i for i, cause in enumerate(refused.values)}
        self._rejected = {reason: rejected.start + i for i, reason in enumerate(rejected.values)}

    def stored_callbacks(self, count: int) -> None:
        """So many callbacks are durable and were answered 200."""
        self._page[_BY_NAME["accepted"].start] += count

    def stored_repaired(self, count: int) -> None:
        """So many of the durable callbacks were repaired."""
        self._page[_BY_NAME["repaired"].start] += count

    def stored_rejections(self, reasons: Iterable[str]) -> None:
        """These rejections are durable."""
        for reason, count in Counter(reasons).items():
            self._page[self._rejected[reason]] += count

    def stored_late(self, count: int) -> None:
        """So many callbacks became durable after their senders had been answered 503."""
        self._page[_BY_NAME["stored_late"].start] += count

    def refused(self, cause: Cause, count: int = 1) -> None:
        """So many requests were not stored."""
        self._page[self._refused[cause]] += count

    def answered(self, times: Sequence[float], now: float) -> None:
        """Callbacks that came at `times` (ascending, monotonic) are answered now."""
        spec, page, count = _ANSWER_SECONDS, self._page, len(times)
        first, last = (bisect_left(spec.bounds, now - time) for time in (times[-1], times[0]))
        below = 0
        for place in range(first, last):
            within = count - bisect_left(times, now - spec.bounds[place])
            page[spec.start + place] += within - below
            below = within
        page[spec.start + last] += count - below
        page[spec.sum_at] += count * now - sum(times)

    def acknowledged(self, callbacks: int, size: int, seconds: float) -> None:
        """One envelope (or one batch of rejections) was acknowledged after so many seconds."""
        self._observe(_ENVELOPE_CALLBACKS, callbacks)
        self._observe(_ENVELOPE_BYTES, size)
        self._observe(_ACK_SECONDS, seconds)

    def state(self, *, pending_bytes: int, connections: int, ready: bool) -> None:
        """Set the gauges."""
        for name, value in (("pending_bytes", pending_bytes), ("connections", connections), ("ready", ready)):
            self._page[_BY_NAME[name].start] = value

    def certificate_ends(self, moment: float) -> None:
        """New connections get a certificate that is valid until this moment, in seconds since 1970 UTC."""
        self._page[_BY_NAME["certificate_end_seconds"].start] = moment

    def processes(self) -> dict[str, int]:
        """Return the process ids of all workers by name."""
        return self._pages.processes()

    def beat(self) -> None:
        """Give a sign of life; called by workers only, several times a second."""
        self._pages.beats[self._worker] += 1.0

    def missing_workers(self, count: int) -> None:
        """So many workers do not respond now."""
        self._page[_BY_NAME["workers_missing"].start] = count

    def replaced_worker(self) -> None:
        """A worker that did not respond is replaced."""
        self._page[_BY_NAME["workers_replaced"].start] += 1

    def total(self, name: str, value: str | None = None) -> float:
        """Return a counter or gauge over all workers, `value` being that of its label."""
        spec = _BY_NAME[name]
        return self._pages.totals()[spec.start + (spec.values.index(value) if value else 0)]

    def render(self) -> bytes:
        """Return Prometheus text, summed over all workers."""
        totals = self._pages.totals()
        shown = [spec for spec in _SPECS if not spec.least or totals[spec.start]]
        lines = (line for spec in shown for line in _lines(spec, totals[spec.start : spec.start + spec.width]))
        return "".join(f"{line}\n" for line in lines).encode()

    def _observe(self, spec: _Spec, value: float) -> None:
        page = self._page
        page[spec.start + bisect_left(spec.bounds, value)] += 1
        page[spec.sum_at] += value


def _lines(spec: _Spec, numbers: Sequence[float]) -> Iterator[str]:
    """
    Yield one metric in Prometheus' text format.

    Written here because the client library, which streams has anyway, would be a twentieth of a worker's memory.
    """
    name = _PREFIX + spec.name
    if spec.bounds:
        yield from _head(name, spec.about, "histogram")
        yield from _histogram(spec, name, numbers)
    elif spec.gauge:
        yield from _head(name, spec.about, "gauge")
        yield f"{name} {numbers[0]}"
    else:
        name += "_total"
        yield from _head(name, spec.about, "counter")
        labels = [f'{{{spec.label}="{value}"}}' for value in spec.values] or [""]
        yield from (f"{name}{label} {number}" for label, number in zip(labels, numbers, strict=True))


def _head(name: str, about: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _histogram(spec: _Spec, name: str, numbers: Sequence[float]) -> Iterator[str]:
    *counts, total = numbers
    for bound, within in zip([*map(str, spec.bounds), "+Inf"], accumulate(counts), strict=True):
        yield f'{name}_bucket{{le="{bound}"}} {within}'
    yield f"{name}_count {sum(counts)}"
    yield f"{name}_sum {total}"
