import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox import jars
from sandbox.errors import JarsError
from sandbox.jars import jars_folder, locked_jars

_CONTENTS = {"a-1.jar": b"jar a", "b-2.jar": b"jar b"}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "jars.lock"
    names = [("g:a:1", "a-1.jar"), ("g:b:2", "b-2.jar")]
    file.write_text("".join(f"{one} sha256:{hashlib.sha256(_CONTENTS[name]).hexdigest()}\n" for one, name in names))
    return file


class Repository:
    """Stands for Maven's, which unit tests can not reach: files by name, and how often each was asked for."""

    def __init__(self) -> None:
        self.contents = dict(_CONTENTS)
        self.asked: list[str] = []
        self.failures = 0

    def download(self, folder: Path, jar: jars.Jar) -> Path:
        self.asked.append(jar.file_name)
        if self.failures:
            self.failures -= 1
            raise JarsError(f"{jar.coordinates} could not be fetched")
        folder.mkdir(exist_ok=True)
        file = folder / jar.file_name
        file.write_bytes(self.contents[jar.file_name])
        return file


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    repository = Repository()

    def folder_is_context(folder: Path) -> Any:  # noqa: ANN401 - as in the module
        return folder

    monkeypatch.setattr(jars, "_maven", folder_is_context)
    monkeypatch.setattr(jars, "_download", repository.download)
    return repository


def test_the_cache_is_filled_once(tmp_path: Path, lock: Path, repository: Repository) -> None:
    folder = jars_folder(tmp_path / "cache", lock)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == _CONTENTS
    assert jars_folder(tmp_path / "cache", lock) == folder
    assert sorted(repository.asked) == ["a-1.jar", "b-2.jar"]


def test_a_failure_half_way_leaves_nothing_behind_and_the_next_run_succeeds(
    tmp_path: Path, lock: Path, repository: Repository
) -> None:
    repository.failures = 1
    with pytest.raises(JarsError):
        jars_folder(tmp_path / "cache", lock)
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(list(jars_folder(tmp_path / "cache", lock).iterdir())) == 2


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path, lock: Path, repository: Repository) -> None:
    repository.contents["b-2.jar"] = b"something else"
    with pytest.raises(JarsError, match=r"g:b:2 has the SHA-256 \w+, the lock says \w+"):
        jars_folder(tmp_path / "cache", lock)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_lost_a_jar_is_filled_anew(tmp_path: Path, lock: Path, repository: Repository) -> None:
    folder = jars_folder(tmp_path / "cache", lock)
    (folder / "a-1.jar").unlink()
    assert jars_folder(tmp_path / "cache", lock) == folder
    assert (folder / "a-1.jar").exists()
    assert len(repository.asked) == 4
    assert [one.name for one in (tmp_path / "cache").iterdir()] == [folder.name]


def test_the_jars_of_a_quicker_process_are_taken(
    tmp_path: Path, lock: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_all = jars._fetch_all

    def overtaken(*arguments: Any) -> None:  # noqa: ANN401 - handed on as they are
        monkeypatch.setattr(jars, "_fetch_all", fetch_all)
        jars_folder(tmp_path / "cache", lock)
        fetch_all(*arguments)

    monkeypatch.setattr(jars, "_fetch_all", overtaken)
    folder = jars_folder(tmp_path / "cache", lock)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == _CONTENTS
    assert [one.name for one in (tmp_path / "cache").iterdir()] == [folder.name]
    assert len(repository.asked) == 4


def test_another_lock_has_another_folder(tmp_path: Path, lock: Path, repository: Repository) -> None:
    before = jars_folder(tmp_path / "cache", lock)
    lock.write_text(lock.read_text().splitlines(keepends=True)[0])
    after = jars_folder(tmp_path / "cache", lock)
    assert before != after
    assert [file.name for file in after.iterdir()] == ["a-1.jar"]
    assert repository.asked.count("a-1.jar") == 2


def test_the_lock_names_kafkas_jars_with_digests_and_no_address() -> None:
    locked = locked_jars()
    assert f"org.apache.kafka:kafka_2.13:{jars.KAFKA_VERSION}" in [jar.coordinates for jar in locked]
    assert all(re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", jar.coordinates) for jar in locked)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in locked)
    assert len({jar.file_name for jar in locked}) == len(locked)


def test_the_cache_is_where_the_xdg_rules_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert jars.default_cache() == Path("/somewhere/routee-callbacks")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert jars.default_cache() == Path.home() / ".cache" / "routee-callbacks"
