"""
The metrics that every program has in common: its version, its processes, the free space of what it stores.

Text in Prometheus' form, made here: ingest does without the client library, which would be a twentieth of its memory.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from streams.program.version import project_version

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")


class Disk(NamedTuple):
    """The space of a disk, in bytes. `free` is what the program may still use."""

    store: str
    """`state` of streams, `files`, or `clickhouse`."""
    disk: str
    """The folder, or the name that the store gives the disk."""
    free: int
    size: int


def disk_of(store: str, folder: Path) -> list[Disk]:
    """Return the disk that holds a folder; none while it cannot be asked."""
    try:
        space = shutil.disk_usage(folder)
    except OSError:
        return []
    return [Disk(store, str(folder), space.free, space.total)]


def own_process() -> dict[str, int]:
    """Return this process alone, without a name."""
    return {"": os.getpid()}


class Vitals:
    """
    The common metrics of a program.

    `processes` returns its process ids by the name of each worker, "" for the only one. Where there is no
    `/proc` the metrics of processes are left out. A disk that cannot be asked is left out, too.
    """

    def __init__(
        self,
        program: str,
        disks: Callable[[], Iterable[Disk]] = tuple,
        processes: Callable[[], Mapping[str, int]] = own_process,
    ) -> None:
        self._build = {"program": program, "version": project_version(), "python": platform.python_version()}
        self._disks = disks
        self._processes = processes

    def render(self) -> bytes:
        """Return the metrics as of now."""
        return "".join(f"{line}\n" for line in (*self._about(), *self._of_processes(), *self._of_disks())).encode()

    def _about(self) -> Iterator[str]:
        yield from _family("routee_build_info", "gauge", "Always 1; the labels tell what runs.", [(self._build, 1)])

    def _of_processes(self) -> Iterator[str]:
        found = []
        for worker, pid in self._processes().items():
            with suppress(OSError):  # it has just ended, or there is no /proc
                found.append(({"worker": worker} if worker else {}, _process(pid)))
        for name, kind, about, value in _OF_PROCESS:
            yield from _family(name, kind, about, [(labels, value(process)) for labels, process in found])

    def _of_disks(self) -> Iterator[str]:
        found = [({"store": disk.store, "disk": disk.disk}, disk) for disk in self._disks()]
        free = [(labels, disk.free) for labels, disk in found]
        size = [(labels, disk.size) for labels, disk in found]
        yield from _family("routee_disk_free_bytes", "gauge", "Space that the program may still use.", free)
        yield from _family("routee_disk_size_bytes", "gauge", "Space of the whole disk.", size)


class _Process(NamedTuple):
    cpu_seconds: float
    started: float
    resident_bytes: int
    open_files: int
    most_files: int


_OF_PROCESS: Final[tuple[tuple[str, str, str, Callable[[_Process], float]], ...]] = (
    ("process_cpu_seconds_total", "counter", "Processor time, of user and system.", lambda found: found.cpu_seconds),
    ("process_start_time_seconds", "gauge", "Start, as seconds since 1970 UTC.", lambda found: found.started),
    ("process_resident_memory_bytes", "gauge", "Memory that is resident.", lambda found: found.resident_bytes),
    ("process_open_fds", "gauge", "Open files and sockets.", lambda found: found.open_files),
    ("process_max_fds", "gauge", "The limit of these.", lambda found: found.most_files),
)


def _process(pid: int) -> _Process:
    """Read the figures of a process. Raises OSError when there is no such process of this user."""
    folder = _PROC / str(pid)
    # The name of the program is in brackets, and may have spaces and brackets itself.
    after_name = (folder / "stat").read_text().rpartition(")")[2].split()
    user, system, started = (int(after_name[place]) / _TICKS for place in (11, 12, 19))
    return _Process(
        user + system,
        _boot_seconds() + started,
        int(after_name[21]) * _PAGE_BYTES,
        sum(1 for _ in (folder / "fd").iterdir()),
        _most_files((folder / "limits").read_text()),
    )


def _boot_seconds() -> float:
    stat = (_PROC / "stat").read_text()
    return next(float(line.split()[1]) for line in stat.splitlines() if line.startswith("btime "))


def _most_files(limits: str) -> int:
    soft = next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files"))
    return int(soft) if soft.isdecimal() else -1


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    """Yield one metric; nothing without samples."""
    lines = [f"{name}{_labels(labels)} {value}" for labels, value in samples]
    if lines:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {kind}"
        yield from lines


def _labels(labels: Mapping[str, str]) -> str:
    pairs = [f'{name}="{_quoted(value)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
