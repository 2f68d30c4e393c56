"""A full disk is told in one line, in every way it can show."""

import errno
import os
from pathlib import Path

import pytest

from sandbox import disk
from sandbox.cli import main
from sandbox.disk import Place
from sandbox.errors import DiskFullError, JarsError, SandboxError, StartError
from sandbox.jars import jars_folder

FULL = (
    r"^the disk that holds SANDBOX_DIR=x is full: free some space there, "
    r"or set SANDBOX_DIR to a folder on another disk$"
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "not" / "yet", "SANDBOX_DIR=x", "SANDBOX_DIR")


def fill(monkeypatch: pytest.MonkeyPatch, free: int = 0) -> None:
    monkeypatch.setattr(disk, "_free_bytes", lambda _: free)


def error_of(number: int, told: SandboxError | None = None) -> Exception:
    """Return the system's error of that number, or one that was told because of it."""
    error = OSError(number, os.strerror(number), "file")
    if told is None:
        return error
    told.__cause__ = error
    return told


@pytest.mark.parametrize(
    "error",
    [
        error_of(errno.ENOSPC),
        error_of(errno.EDQUOT),
        error_of(errno.ENOSPC, JarsError("could not be fetched")),  # the file that filled the disk may be gone
    ],
)
def test_an_error_that_comes_of_a_full_disk_is_told_with_its_folder(place: Place, error: Exception) -> None:
    with pytest.raises(DiskFullError, match=FULL), place.watched():
        raise error


def test_a_program_that_could_not_write_why_it_ended_is_explained(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch)
    with pytest.raises(DiskFullError, match=FULL), place.watched():
        raise StartError("kafka-1 ended with exit code 1: it said nothing")


@pytest.mark.parametrize("error", [StartError("no"), error_of(errno.EACCES)])
def test_other_errors_stay_what_they_are(place: Place, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, place.watched():
        raise error
    assert raised.value is error


def test_too_little_room_for_a_start_is_told_with_how_much_is_needed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch, 5_000_000)
    place.require()
    with pytest.raises(DiskFullError, match=r"is too full \(5 MB are free, 150 MB are needed\): free some"):
        place.require(150_000_000)


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_one_above(place: Place) -> None:
    place.require(1)


def test_a_disk_without_room_for_another_file_is_full(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = 1_000_000
    no_files = os.statvfs_result((4096, 4096, blocks, blocks, blocks, 1000, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: no_files)
    with pytest.raises(DiskFullError):
        place.require()


def test_a_cache_on_a_full_disk_names_the_variable_that_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sandbox.jars._fill", full)
    with pytest.raises(DiskFullError, match=f"holds the cache {tmp_path} is full: .* set XDG_CACHE_HOME to a folder"):
        jars_folder(tmp_path)


def test_a_full_disk_met_at_any_other_place_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/file")

    monkeypatch.setattr("sandbox.cli.missing_extra", lambda: None)
    monkeypatch.setattr("sandbox.up.run", full)
    assert main(["up"]) == 1
    assert capsys.readouterr().err == "/full/file: the disk is full, free some space there\n"
