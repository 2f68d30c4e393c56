"""
A share of a core for one process, by the kernel's control groups (either version), as far as this user may make one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup")
_PERIOD_US: Final = 10_000


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
