"""
A bare system leaves nothing behind: no mount, no process, no file, also when it is broken off.
"""

import os
import time
from pathlib import Path

import pytest

from tests.fresh.machine import CannotRunError, require_namespaces
from tests.fresh.system import StepError, System
from tests.support.wait import eventually

# Seconds by which the processes of this run are known.
LONG = f"7654{os.getpid()}"


@pytest.fixture
def system(tmp_path: Path) -> System:
    try:
        require_namespaces()
    except CannotRunError as error:
        pytest.skip(f"needs root and mounts of its own: {error}")
    (tmp_path / "bare").mkdir()
    return System("bare", tmp_path, tmp_path, time.monotonic() + 3)


def processes_with(words: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().decode(errors="replace"))
        except OSError:  # it ended meanwhile
            continue
    return [line for line in found if words in line]


def test_a_step_that_takes_too_long_leaves_no_mount_and_no_process(system: System, tmp_path: Path) -> None:
    root = tmp_path / "bare"
    script = 'mount -t tmpfs tmpfs "$0"; touch "$0/file"; echo mounted; sleep "$1" & exec sleep "$1"'
    with pytest.raises(StepError, match="step was stopped"):
        system.step("step", ["sh", "-c", script, str(root), LONG])
    assert system.log("step").read_text() == "mounted\n"
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
    assert list(root.iterdir()) == []
    eventually(lambda: not processes_with(f"sleep\x00{LONG}"))
    system.remove()
    assert not root.exists()


@pytest.mark.usefixtures("system")
def test_what_runs_there_as_another_user_ends_with_its_step(tmp_path: Path) -> None:
    everything = System("", Path("/"), tmp_path, time.monotonic() + 3)
    with pytest.raises(StepError, match="step was stopped"):
        everything.run("step", ["sh", "-c", 'id -u; sleep "$0" & exec sleep "$0"', LONG], {}, Path("/"))
    assert everything.log("step").read_text() == "1000\n"
    eventually(lambda: not processes_with(f"sleep\x00{LONG}"))


def test_a_step_that_fails_shows_the_end_of_its_log(system: System) -> None:
    with pytest.raises(StepError) as failed:
        system.step("step", ["sh", "-c", "seq 30; exit 3"])
    assert str(failed.value).startswith("step ended with 3; see ")
    assert str(failed.value).splitlines()[1:] == [f"    {number}" for number in range(11, 31)]


def test_bytes_are_counted_once_for_all_names_of_a_file(system: System, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "bare" / name).mkdir()
    first = tmp_path / "bare" / "a" / "file"
    first.write_bytes(b"x" * 100_000)
    (tmp_path / "bare" / "b" / "file").hardlink_to(first)
    assert system.used(Path("/a"), Path("/b")) == system.used(Path("/a")) == system.used(Path("/b")) >= 100_000
