"""
A share of a core for one process, by the kernel's control groups (either version), as far as this user may make one.

Else by signals: the process is stopped for the rest of each period, also while it waits and needs no core.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup")
_PERIOD_US: Final = 10_000
_SIGNALS_PERIOD_SECONDS: Final = 0.05

GROUPS: Final = "control groups"
SIGNALS: Final = "signals"


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[str]:
    """Let each process have that share of one core and no more, within the block; yield by what: GROUPS or SIGNALS."""
    with ExitStack() as stack:
        try:
            for pid in pids:
                stack.enter_context(limited(pid, share))
        except OSError:
            stack.close()
            for pid in pids:
                stack.enter_context(_stopped(pid, share))
            yield SIGNALS
        else:
            yield GROUPS


@contextmanager
def _stopped(pid: int, share: float) -> Iterator[None]:
    """Let a process run for that share of the time."""
    ended = threading.Event()

    def take_turns() -> None:
        try:
            while not ended.is_set():
                os.kill(pid, signal.SIGCONT)
                ended.wait(_SIGNALS_PERIOD_SECONDS * share)
                os.kill(pid, signal.SIGSTOP)
                ended.wait(_SIGNALS_PERIOD_SECONDS * (1 - share))
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return  # it has ended

    thread = threading.Thread(target=take_turns, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def limited(pid: int, share: float) -> Iterator[None]:
    """Let a process have that share of one core and no more, within the block; OSError where that is not allowed."""
    parent = _GROUPS / "cpu" if (_GROUPS / "cpu").is_dir() else _GROUPS
    group = parent / f"bench-{pid}"
    home = parent / _group_of(pid) / "cgroup.procs"
    group.mkdir()
    try:
        _limit(group, int(share * _PERIOD_US))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        if Path(f"/proc/{pid}").exists():
            home.write_text(str(pid))
        group.rmdir()


def _limit(group: Path, quota_us: int) -> None:
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))


def _group_of(pid: int) -> str:
    """Return where the process is now, relative to the root of the groups."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            return path.lstrip("/")
    return ""
