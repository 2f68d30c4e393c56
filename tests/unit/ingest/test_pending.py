"""The balance of pending bytes and callbacks."""

import re
from pathlib import Path

import pytest

import ingest
from ingest.commit.pending import Pending


def test_a_callback_counts_from_its_arrival_to_its_release() -> None:
    pending = Pending(100)
    pending.add(10)
    pending.add(20)
    assert (pending.count, pending.size) == (2, 30)
    pending.release(2, 30)
    assert (pending.count, pending.size) == (0, 0)


def test_bytes_of_an_unfinished_body_replace_those_counted_before() -> None:
    pending = Pending(100)
    pending.hold(0, 40)
    pending.hold(40, 60)
    assert (pending.count, pending.size) == (0, 60)
    pending.hold(60, 0)
    assert pending.size == 0


@pytest.mark.parametrize(("taken", "is_full", "room"), [(99, False, 1), (100, True, 0), (101, True, -1)])
def test_the_limit_may_be_reached_and_not_exceeded(taken: int, room: int, *, is_full: bool) -> None:
    pending = Pending(100)
    pending.add(taken)
    assert pending.is_full == is_full
    assert pending.has_room(room)
    assert not pending.has_room(room + 1)


def test_no_other_module_writes_the_balance() -> None:
    written = re.compile(r"pending\.(size|count)\s*(=[^=]|[-+]=)")
    folder = Path(ingest.__file__).parent
    assert [file.name for file in folder.rglob("*.py") if written.search(file.read_text())] == []
    assert written.search("self._service.publisher.pending.size += 1")
