"""
One bare Debian system in a folder. Its processes have mounts and process numbers of their own.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PACKAGES: Final = ("python3", "python3-venv", "make", "git", "ca-certificates", "procps")
"""The packages that a newcomer is told to have, and those of Debian itself on every system in use."""

HOME: Final = Path("/home/newcomer")
PROJECT: Final = HOME / "routee-callbacks"
_USER: Final = 1000

# The mounts, and every process, end with the first process, even if this one is killed: nothing is left to unmount.
_APART: Final = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
)
_MOUNT: Final = """
set -e
mount -t proc proc "$0/proc"
mount --rbind /sys "$0/sys"
mount --rbind /dev "$0/dev"
chroot --userspec="$1:$1" --groups= "$0" /usr/bin/env -i "${@:2}" || exit
"""
# This shell stays, as root and as the first process: one that changes its user would outlive the end of its parent.
_REMOVAL_SECONDS: Final = 20


class StepError(Exception):
    """A step failed or took too long; the text says which, and where its log is."""


class System:
    """A Debian of one suite below `folder`; steps write to files in `logs`, and none goes on after `deadline`."""

    def __init__(self, suite: str, folder: Path, logs: Path, deadline: float) -> None:
        self.suite = suite
        self._root = folder / suite
        self._logs = logs
        self._deadline = deadline

    def make(self, address: str, taken: Sequence[tuple[Path, Path]]) -> None:
        """Install the packages, and lay down the files `taken` from this machine."""
        packages = f"--include={','.join(PACKAGES)}"
        self.step("system", ["debootstrap", "--variant=minbase", packages, self.suite, str(self._root), address])
        (self._root / HOME.relative_to("/")).mkdir(parents=True)
        for file, place in taken:
            copy = self._root / (place if place.is_absolute() else HOME / place).relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copyfile(file, copy)
        self._own(HOME)

    def clone(self, repository: Path) -> None:
        """Clone the last commit of a repository as its newcomer would, with nothing that is not committed."""
        bundle = self._root / HOME.relative_to("/") / "bundle"
        subprocess.run(["git", "-C", repository, "bundle", "create", "--quiet", bundle, "HEAD"], check=True)
        self._own(HOME)
        self.run(
            "clone",
            ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", str(HOME / "bundle"), str(PROJECT)],
            {},
            HOME,
        )

    def run(self, step: str, command: Sequence[str], environment: Mapping[str, str], folder: Path = PROJECT) -> float:
        """Run a command there, not as root, with these variables and no others; return the seconds it took."""
        variables = {"HOME": str(HOME), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **environment}
        words = [f"--chdir={folder}", *(f"{name}={value}" for name, value in variables.items()), *command]
        return self.step(step, ["bash", "-c", _MOUNT, str(self._root), str(_USER), *words])

    def step(self, step: str, command: Sequence[str]) -> float:
        """Run a command on this machine, apart from it; return the seconds it took. Raises StepError when it fails."""
        begun = time.monotonic()
        with self.log(step).open("wb") as log:
            running = subprocess.Popen(
                [*_APART, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                ended = running.wait(max(0, self._deadline - begun))
            except subprocess.TimeoutExpired:
                raise StepError(f"{step} was stopped: the time is up; see {self.log(step)}") from None
            finally:
                running.kill()
                running.wait()
        if ended:
            raise StepError(f"{step} ended with {ended}; see {self.log(step)}\n{self._end_of(step)}")
        return time.monotonic() - begun

    def log(self, step: str) -> Path:
        """Return the file with what a step said."""
        return self._logs / f"{self.suite}-{step}.log"

    def used(self, *folders: Path) -> int:
        """Return the bytes that folders take on disk; a file with several names is counted once."""
        found: dict[tuple[int, int], int] = {}
        for folder in folders:
            for parent, _, names in os.walk(self._root / folder.relative_to("/")):
                for status in (Path(parent, name).lstat() for name in names):
                    found[status.st_dev, status.st_ino] = status.st_blocks * 512
        return sum(found.values())

    def remove(self) -> None:
        """Remove it all. Raises StepError rather than go into something that is mounted there."""
        if str(self._root) in Path("/proc/self/mountinfo").read_text():
            raise StepError(f"{self._root} has mounts; unmount them and remove it")
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while self._root.exists():  # processes that were just killed may still be writing
            shutil.rmtree(self._root, ignore_errors=time.monotonic() < deadline)

    def _own(self, folder: Path) -> None:
        for parent, folders, names in os.walk(self._root / folder.relative_to("/")):
            for name in (".", *folders, *names):
                os.chown(Path(parent, name), _USER, _USER, follow_symlinks=False)

    def _end_of(self, step: str) -> str:
        lines = self.log(step).read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-20:])
