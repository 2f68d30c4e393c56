"""
The lines in which a program tells of itself, made from its metrics. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from console.words.numbers import counted, grouped
from console.words.times import lasted

Samples = Mapping[str, list[tuple[Mapping[str, str], float]]]
"""Labels and value of each sample, by name."""

_MOST: Final = 0.99


_NEEDED: Final = re.compile(
    rb"^(?:routee_build_info|process_start_time_seconds|routee_[a-z_]+_lag_seconds|routee_ingest_(?:accepted|refused)_total"
    rb"|routee_ingest_answer_seconds_bucket|routee_streams_partitions(?:_expected)?|routee_sinks_retries_total"
    rb"|routee_backfill_(?:unsettled|gone))[ {][^\n]*\n",
    re.MULTILINE,
)
"""The lines of the samples that are told; a new sentence of a program needs its name here."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as it answered."""

    trouble: str
    """Why it is not ready, empty when it is."""
    samples: Samples

    @property
    def version(self) -> str | None:
        """Return the version that runs."""
        return next((labels.get("version") for labels, _ in self.samples.get("routee_build_info", [])), None)

    @property
    def started(self) -> float | None:
        """Return when it was started, in seconds since 1970."""
        return min(_values([self], "process_start_time_seconds"), default=None)


def samples_of(metrics: bytes) -> Samples:
    """
    Return the samples of metrics in Prometheus' form that are needed here and finite; ValueError for anything else.

    The other lines, most of them, are not read: reading takes the time of the one loop. A line without an end was
    cut off.
    """
    text = b"".join(_NEEDED.findall(metrics)).decode()
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if isfinite(sample.value):
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def lag_of(processes: Sequence[Process]) -> float | None:
    """Return how old the oldest record is that waits for a program, in seconds; None for one that reads no topic."""
    names = {name for one in processes for name in one.samples if name.endswith("_lag_seconds")}
    return max((value for name in names for value in _values(processes, name)), default=None)


def words_of(program: str, processes: Sequence[Process], per_second: float | None) -> str:
    """Return what a program says in a line; `per_second` is the pace of ingest, when it is known."""
    kind = next((kind for kind in _WORDS if program.startswith(kind)), "")
    words = _WORDS[kind](processes) if kind and processes else []
    if per_second is not None:
        words.insert(0, f"{grouped(per_second) if per_second >= _FEW else f'{per_second:.1f}'} callbacks/s")
    return "; ".join(words)


_FEW: Final = 10


def behind(lag: float) -> str:
    """Return a lag in words."""
    return "up to date" if lag == 0 else f"{f'{lag:.1f} s' if lag < _FEW else lasted(lag)} behind"


def taken_in(processes: Sequence[Process]) -> float | None:
    """Return the callbacks that ingest has taken in since its start; None for another program."""
    return sum(found) if (found := [*_values(processes, "routee_ingest_accepted_total")]) else None


def _ingest(processes: Sequence[Process]) -> list[str]:
    slowest = _within(processes, "routee_ingest_answer_seconds", _MOST)
    refused = sum(_values(processes, "routee_ingest_refused_total"))
    return [
        *([f"99 % answered within {slowest * 1000:g} ms"] if slowest not in {None, inf} else []),
        f"{counted(int(refused), 'request')} refused since the start" if refused else "none refused since the start",
    ]


def _streams(processes: Sequence[Process]) -> list[str]:
    expected = max(_values(processes, "routee_streams_partitions_expected"), default=None)
    owned: dict[str, float] = {}
    for labels, value in _samples(processes, "routee_streams_partitions"):
        owned[labels.get("table", "")] = owned.get(labels.get("table", ""), 0) + value
    has_all = expected is not None and owned
    return [
        *_behind(processes),
        *([f"{min(owned.values()):.0f} of {expected:.0f} partitions owned"] if has_all else []),
    ]


def _sink(processes: Sequence[Process]) -> list[str]:
    retries = sum(_values(processes, "routee_sinks_retries_total"))
    again = "1 insert was" if retries == 1 else f"{grouped(retries)} inserts were"
    return [*_behind(processes), f"{again} tried again since the start" if retries else "no retry since the start"]


def _backfill(processes: Sequence[Process]) -> list[str]:
    open_ones = sum(_values(processes, "routee_backfill_unsettled"))
    gone = sum(_values(processes, "routee_backfill_gone"))
    return [
        f"{counted(int(open_ones), 'message')} may lack callbacks" if open_ones else "nothing is missing",
        *([f"{grouped(gone)} are gone"] if gone else []),
    ]


def _behind(processes: Sequence[Process]) -> list[str]:
    lag = lag_of(processes)
    return [] if lag is None else [behind(lag)]


_WORDS: Final[Mapping[str, Callable[[Sequence[Process]], list[str]]]] = {
    "ingest": _ingest,
    "streams": _streams,
    "sinks": _sink,
    "backfill": _backfill,
}
"""By the beginning of a program's name."""


def _samples(processes: Iterable[Process], name: str) -> Iterable[tuple[Mapping[str, str], float]]:
    return (sample for one in processes for sample in one.samples.get(name, []))


def _values(processes: Iterable[Process], name: str) -> Iterable[float]:
    return (value for _, value in _samples(processes, name))


def _within(processes: Iterable[Process], name: str, share: float) -> float | None:
    """Return the bound of a histogram below which a share of all is; None without any."""
    counts: dict[float, float] = {}
    for labels, value in _samples(processes, f"{name}_bucket"):
        bound = float(labels.get("le", ""))
        counts[bound] = counts.get(bound, 0) + value
    whole = counts.get(inf, 0)
    return next((bound for bound, count in sorted(counts.items()) if whole and count >= share * whole), None)
