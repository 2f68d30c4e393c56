"""A folder per worker."""

from pathlib import Path

import pytest

from streams.errors import DataFolderError
from streams.folder import worker_folder


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
