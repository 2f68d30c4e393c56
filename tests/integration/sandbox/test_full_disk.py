"""
The sandbox on a disk that is full: a small file system of its own, which only the commands under test see.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from sandbox.ports import free_port
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(400)

_COMMAND = str(Path(sys.executable).with_name("routee-sandbox"))
_MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
_READY_SECONDS = 200.0


class OnSmallDisk:
    """A command that finds a file system of so many megabytes at `disk`."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.disk = folder / "disk"
        self.disk.mkdir()
        self._output = folder / "output.txt"
        self._megabytes = megabytes
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: str, **settings: str) -> None:
        shell = ("unshare", "-rm", "sh", "-c", _MOUNTED, "sh", f"{self._megabytes}m", str(self.disk))
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                (*shell, _COMMAND, command), env=os.environ | settings, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def says(self, text: str) -> bool:
        return text in self.output or self.has_ended()

    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def code_of_the_end_on_a_full_disk(self) -> int:
        """Leave no room on the disk until the command ends; programs on it make some when they tidy up."""
        assert self._process is not None
        # We see the disk through the process alone.
        with Path(f"/proc/{self._process.pid}/root{self.disk}/filler").open("wb", buffering=0) as filler:
            eventually(lambda: self._has_ended_when_filled(filler), 120)
        return self.code()

    def _has_ended_when_filled(self, filler: BinaryIO) -> bool:
        with suppress(OSError):  # a full disk is wanted
            while True:
                filler.write(bytes(1 << 16))
        return self.has_ended()

    def code(self) -> int:
        assert self._process is not None
        return self._process.wait(120)

    def close(self) -> None:
        if self._process is not None and not self.has_ended():
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="module", autouse=True)
def _can_mount() -> None:
    probe = ("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    try:
        done = subprocess.run(probe, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the command `unshare`")
    if done.returncode:
        pytest.skip("needs a user namespace in which a file system can be mounted: unshare -rm mount …")


@pytest.fixture
def too_small(tmp_path: Path) -> Iterator[OnSmallDisk]:
    small = OnSmallDisk(tmp_path, 5)
    yield small
    small.close()


@pytest.fixture
def large_enough(tmp_path: Path) -> Iterator[OnSmallDisk]:
    disk = OnSmallDisk(tmp_path, 200)
    yield disk
    disk.close()


def up_on(disk: Path) -> Mapping[str, str]:
    first = free_port(together=9)
    names = (
        "SANDBOX_KAFKA_PORT",
        "SANDBOX_CLICKHOUSE_PORT",
        "INGEST_PORT",
        "INGEST_ADMIN_PORT",
        "STREAMS_WEB_PORT",
        "STREAMS_ADMIN_PORT",
        "SINKS_ADMIN_PORT",
    )
    return {"SANDBOX_DIR": str(disk / "state")} | {name: str(first + place) for place, name in enumerate(names)}


def test_up_needs_room_and_says_how_much(too_small: OnSmallDisk) -> None:
    too_small.start("up", **up_on(too_small.disk))
    assert too_small.code() == 1
    assert too_small.output == (
        f"the disk that holds SANDBOX_DIR={too_small.disk}/state is too full (5 MB are free, 100 MB are needed): "
        "free some space there, or set SANDBOX_DIR to a folder on another disk\n"
    )


def test_the_demo_needs_room_and_says_how_much(too_small: OnSmallDisk) -> None:
    too_small.start("demo", TMPDIR=str(too_small.disk))
    assert too_small.code() == 1
    (line,) = too_small.output.splitlines()
    assert line.startswith(f"✘ the disk that holds the temporary folder {too_small.disk}/routee-demo-")
    assert line.endswith("free some space there, or set TMPDIR to a folder on another disk")


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.parametrize("when", ["starting ingest", pytest.param("send traffic with", marks=pytest.mark.full)])
def test_up_ends_with_a_line_when_its_disk_gets_full(large_enough: OnSmallDisk, when: str) -> None:
    large_enough.start("up", **up_on(large_enough.disk))
    eventually(lambda: large_enough.says(when), _READY_SECONDS)
    assert large_enough.code_of_the_end_on_a_full_disk() == 1, large_enough.output
    assert large_enough.output.splitlines()[-1] == (
        f"the disk that holds SANDBOX_DIR={large_enough.disk}/state is full: "
        "free some space there, or set SANDBOX_DIR to a folder on another disk"
    )
    assert "Traceback" not in large_enough.output


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.full
@pytest.mark.parametrize("when", ["callbacks accepted", "making", "Comparing"])
def test_the_demo_ends_with_a_line_when_its_disk_gets_full(large_enough: OnSmallDisk, when: str) -> None:
    large_enough.start("demo", TMPDIR=str(large_enough.disk))
    eventually(lambda: large_enough.says(when), _READY_SECONDS)
    assert large_enough.code_of_the_end_on_a_full_disk() == 1, large_enough.output
    last = large_enough.output.splitlines()[-1]
    assert last.startswith(f"✘ the disk that holds the temporary folder {large_enough.disk}/routee-demo-")
    assert last.endswith(" is full: free some space there, or set TMPDIR to a folder on another disk")
    assert "Traceback" not in large_enough.output
