"""Each worker has a folder of its own."""

import sys
from pathlib import Path

import pytest

from streams.errors import DataFolderError
from streams.folder import require_usable, worker_folder


def test_the_first_worker_finds_its_folder_again(tmp_path: Path) -> None:
    for _ in range(2):
        with worker_folder(tmp_path / "data") as folder:
            assert folder == tmp_path / "data" / "worker-0"


def test_a_second_worker_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    with worker_folder(tmp_path) as first, worker_folder(tmp_path) as second:
        assert (first.name, second.name) == ("worker-0", "worker-1")


def test_a_folder_that_cannot_be_made_is_one_line_with_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match=r"^STREAMS_DATA_DIR=.*file"), worker_folder(tmp_path / "file"):
        pass


def test_trying_a_folder_leaves_nothing(tmp_path: Path) -> None:
    require_usable(tmp_path / "not" / "yet")
    require_usable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_taken_away_from_a_worker_that_makes_it_meanwhile(tmp_path: Path) -> None:
    changes: list[str] = []

    def note(event: str, given: tuple[object, ...]) -> None:
        if event in {"os.mkdir", "os.rmdir"} and is_noted:
            changes.append(str(given[0]))

    is_noted = True
    sys.addaudithook(note)  # it cannot be removed, only be told to stop
    require_usable(tmp_path / "not" / "yet")
    is_noted = False
    assert changes
    assert str(tmp_path / "not") not in changes


def test_a_link_to_nowhere_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataFolderError, match=r"link: No such file or directory$"):
        require_usable(tmp_path / "link")


def test_a_folder_that_is_used_stays_when_it_is_tried(tmp_path: Path) -> None:
    with worker_folder(tmp_path / "data") as folder:
        require_usable(tmp_path / "data")
        assert [folder] == list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError) as error:
        require_usable(tmp_path / "file" / below)
    assert str(error.value) == f"STREAMS_DATA_DIR={tmp_path / 'file' / below}: Not a directory"


def test_a_place_where_no_folder_can_be_made_is_one_line() -> None:
    with pytest.raises(DataFolderError, match=r"^STREAMS_DATA_DIR=/proc/routee: .+$"):
        require_usable(Path("/proc/routee"))
