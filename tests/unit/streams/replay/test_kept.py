"""
Tables of a replay in bounded memory: they read the same whether their values are in memory or on disk.
"""

import random
from pathlib import Path

import pytest

from streams.replay import command
from streams.replay.kept import Kept, on_disk
from streams.state.store.rocks import RocksStore
from tests.support.every_verdict import verdict_load
from tests.unit.streams.replay.test_replay import archive, content, further_load, replayed


def test_a_table_reads_the_same_with_any_memory(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 - the same in every run
    with on_disk(tmp_path / "some", most_bytes=5_000) as keep:
        small, other, large = keep(), keep(), Kept()
        truth: dict[bytes, bytes] = {}
        for number in range(3_000):
            key = b"%b%d" % (chance.choice([b"", b"\0", b"\0\0"]), chance.randrange(150))
            if chance.random() < 0.2:
                small.pop(key, None)
                large.pop(key, None)
                truth.pop(key, None)
            else:
                value = b"%d" % number * chance.randrange(1, 30)
                small[key] = large[key] = truth[key] = value
            other[b"of another table"] = b"%d" % number
            asked = b"\0\0%d" % chance.randrange(150)
            assert small.get(asked) == large.get(asked) == truth.get(asked)
        assert [*small.items()] == [*large.items()] == sorted(truth.items())
        assert [*other.values()] == [b"2999"]
        assert len(small._recent) < len(truth)
    assert {one.name for one in (tmp_path / "some").iterdir()} == {"0"}  # the other table had room


def test_a_table_that_has_room_writes_nothing(tmp_path: Path) -> None:
    with on_disk(tmp_path / "some") as keep:
        table = keep()
        for number in range(1000):
            table[b"%d" % (number % 7)] = b"x" * 100
        assert len([*table.items()]) == 7
    assert not (tmp_path / "some").exists()


@pytest.mark.parametrize("most_bytes", [1, 20_000])
def test_a_replay_gives_the_same_bytes_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    root = archive(tmp_path / "archive", [*verdict_load(4), *verdict_load(5), *further_load()])
    before = replayed(root, tmp_path / "before")
    opened: list[int] = []
    open_store = RocksStore.open

    def noted(store: RocksStore, number: int) -> None:
        opened.append(number)
        open_store(store, number)

    monkeypatch.setattr(RocksStore, "open", noted)
    monkeypatch.setattr(command, "on_disk", lambda folder: on_disk(folder, most_bytes))
    monkeypatch.setattr("streams.replay.stages._MOST_KEPT", 1)
    assert content(replayed(root, tmp_path / "after")) == content(before)
    assert opened
