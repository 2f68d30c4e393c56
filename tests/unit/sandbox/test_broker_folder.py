from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from sandbox.broker_folder import format_as_before, is_formatted, keep, random_id


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Give a folder that has what was kept of a broker's folder."""
    made, kept = tmp_path / "made", tmp_path / "kept"
    for folder in (made, kept):
        folder.mkdir()
    (made / "bootstrap.checkpoint").write_bytes(b"features")
    keep(made, kept)
    assert [it.name[:21] for it in kept.iterdir()] == ["bootstrap.checkpoint-"]
    return kept


def names_in(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / "meta.properties").read_text().splitlines())


def test_a_folder_gets_the_kept_features_and_names_of_its_own(tmp_path: Path, kept: Path) -> None:
    folders = [tmp_path / "broker-1", tmp_path / "broker-2"]
    for node, folder in enumerate(folders, start=1):
        assert not is_formatted(folder)
        assert format_as_before(folder, "cluster", node, kept)
        assert is_formatted(folder)
        assert (folder / "bootstrap.checkpoint").read_bytes() == b"features"
    one, two = map(names_in, folders)
    assert one.pop("directory.id") != two.pop("directory.id")
    assert one == {"version": "1", "cluster.id": "cluster", "node.id": "1"}
    assert two == {"version": "1", "cluster.id": "cluster", "node.id": "2"}


def test_a_folder_stays_as_it_is_while_nothing_is_kept(tmp_path: Path) -> None:
    assert not format_as_before(tmp_path / "broker-1", "cluster", 1, tmp_path)
    assert not (tmp_path / "broker-1").exists()


@pytest.mark.parametrize("damaged", [b"", b"feat", b"featureS"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, kept: Path, damaged: bytes) -> None:
    (file,) = kept.iterdir()
    file.write_bytes(damaged)
    assert not format_as_before(tmp_path / "broker-1", "cluster", 1, kept)
    assert not is_formatted(tmp_path / "broker-1")


def test_a_random_id_has_sixteen_bytes_and_no_dash_in_front() -> None:
    ids = {random_id() for _ in range(200)}
    assert len(ids) == 200
    assert not any(one.startswith("-") for one in ids)
    assert {len(urlsafe_b64decode(f"{one}==")) for one in ids} == {16}
