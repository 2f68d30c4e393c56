from pathlib import Path

import pytest

from sandbox import kafka


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the place of the cache of classes, which is empty."""
    file = tmp_path / "kafka.aot"
    monkeypatch.setattr(kafka, "CLASS_CACHE", file)
    return file


def about_the_cache(*options: str) -> list[str]:
    command = kafka._java(Path("jars"), "kafka.Kafka", "broker.properties", options=options)
    assert command[-4:] == ["-cp", "jars/*", "kafka.Kafka", "broker.properties"]
    return [option for option in command if option.startswith("-XX:AOT")]


def test_java_takes_the_cache_of_classes_when_there_is_one(cache: Path) -> None:
    assert about_the_cache() == []
    cache.touch()
    assert about_the_cache() == [f"-XX:AOTCache={cache}"]


def test_java_that_writes_the_cache_takes_none(cache: Path) -> None:
    cache.touch()
    assert about_the_cache("-XX:AOTCacheOutput=new") == ["-XX:AOTCacheOutput=new"]
