"""
`python -m tests.fresh`: the demo and the quick tests in bare Debian systems, with the seconds and the disk they took.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from tests.fresh.machine import CannotRunError, environment, files, require, require_suite
from tests.fresh.system import HOME, PROJECT, StepError, System

SUITES: Final = ("bookworm", "trixie")
_REPOSITORY: Final = Path(__file__).parents[2]
_LOGS: Final = _REPOSITORY / ".cache" / "fresh"
_LIMIT_MINUTES: Final = 40
_GIB: Final = 1 << 30
_FREE_GIB: Final = 5


def main() -> int:
    """Return 0 when all went well, 1 when something failed, 2 when it cannot run here, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fresh", description=__doc__)
    parser.add_argument("suites", nargs="*", default=SUITES, help=f"of Debian; {' and '.join(SUITES)} if none is given")
    parser.add_argument(
        "--where-possible",
        action="store_true",
        help="install debootstrap if need be; where it cannot run, say so and end with 0",
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    try:
        return _try_all(given.suites, install=given.where_possible)
    except CannotRunError as error:
        _say(f"test-fresh did not run: {error}")
        return 0 if given.where_possible else 2
    except KeyboardInterrupt:
        return 130


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _try_all(suites: list[str], *, install: bool) -> int:
    address = require(install=install)
    for suite in suites:
        require_suite(address, suite)
    if _git("status", "--porcelain"):
        _say("what is not committed is not tried")
    _LOGS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LIMIT_MINUTES * 60
    _require_space(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix="routee-fresh-"))
    try:
        tried = [_try(System(suite, folder, _LOGS, deadline), address) for suite in suites]
    finally:
        folder.rmdir()  # each system has removed itself
    _say(f"test-fresh: {sum(tried)} passed, {len(tried) - sum(tried)} failed")
    return 0 if all(tried) else 1


def _try(system: System, address: str) -> bool:
    try:
        for line in _steps(system, address):
            _say(f"{system.suite:<9} {line}")
    except StepError as error:
        _say(f"{system.suite:<9} FAILED: {error}")
        return False
    finally:
        system.remove()
    return True


def _steps(system: System, address: str) -> Iterator[str]:
    """Do one thing after another, and give a line for each that is done."""
    variables = environment(os.environ)
    begun = time.monotonic()
    system.make(address, files(os.environ, Path.home()))
    yield f"a bare system: {time.monotonic() - begun:.0f} s"
    system.clone(_REPOSITORY)
    system.run("python", ["python3", "--version"], variables)
    yield system.log("python").read_text().strip()
    seconds = system.run("demo", ["make", "demo"], variables)
    yield f"make demo: {seconds:.0f} s, installing included; {_disk(system)}"
    seconds = system.run("test-quick", ["make", "test-quick"], variables)
    last = system.log("test-quick").read_text().strip().splitlines()[-1].strip("= ")
    yield f"make test-quick: {seconds:.0f} s, installing included; {_disk(system)}; {last}"


def _disk(system: System) -> str:
    venv, uv, jars = PROJECT / ".venv", HOME / ".cache" / "uv", HOME / ".cache" / "routee-callbacks"
    sizes = {"disk": system.used(HOME), ".venv": system.used(venv), "the cache of uv": system.used(uv)}
    shared = sizes[".venv"] + sizes["the cache of uv"] - system.used(venv, uv)
    told = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in sizes.items())
    return f"{told} ({shared / 1e6:,.0f} MB of them the same files), Kafka's jars {system.used(jars) / 1e6:,.0f} MB"


def _require_space(folder: Path) -> None:
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < _FREE_GIB * _GIB:
        raise CannotRunError(
            f"{folder} has {free / _GIB:.1f} GiB free of the {_FREE_GIB} it needs; TMPDIR names another"
        )


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", _REPOSITORY, *arguments], capture_output=True, text=True, check=True).stdout


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command speaks by print


if __name__ == "__main__":
    sys.exit(main())
