"""Alarms, commits and exit codes."""

from typing import Any

import pytest
from faust.types import TP

from streams import errors
from streams.errors import Exit
from streams.runtime import pulse as ownership
from streams.runtime.consumer import clamp
from streams.runtime.pulse import Ownership


class DiedError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def died(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    codes: list[Exit] = []

    def die(code: Exit, _why: str) -> None:
        codes.append(code)
        raise DiedError

    monkeypatch.setattr(ownership, "die", die)
    return codes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(ownership, "monotonic", lambda: now[0])
    return now


def test_a_worker_that_beats_regularly_goes_on(died: list[Exit], clock: list[float]) -> None:
    mine = Ownership(4.0, lambda: 1)
    for _ in range(10):
        mine.beat()
        clock[0] += 3.9
        mine.check()
    assert not died


def test_a_worker_that_stood_still_ends_itself_before_it_writes(died: list[Exit], clock: list[float]) -> None:
    mine = Ownership(4.0, lambda: 1)
    mine.beat()
    clock[0] += 4.1
    with pytest.raises(DiedError):
        mine.check()
    assert died == [Exit.MAYBE_REPLACED]


def test_a_worker_that_its_group_removed_ends_itself(died: list[Exit], clock: list[float]) -> None:  # noqa: ARG001
    mine = Ownership(4.0, lambda: -1)
    with pytest.raises(DiedError):
        mine.check()
    assert died == [Exit.MAYBE_REPLACED]


class FakeTable:
    """A table whose partition 0 is durable up to 5, partition 1 not at all."""

    source = "raw"

    def durable(self, partition: int) -> int | None:
        return {0: 5}.get(partition)


@pytest.mark.parametrize(
    ("offsets", "clamped"),
    [
        ({TP("raw", 0): 9}, {TP("raw", 0): 5}),
        ({TP("raw", 0): 3}, {TP("raw", 0): 3}),
        ({TP("raw", 1): 9}, {}),
        ({TP("other", 1): 9}, {TP("other", 1): 9}),
    ],
)
def test_a_commit_never_goes_beyond_what_is_durable(offsets: dict[TP, int], clamped: dict[TP, int]) -> None:
    table: Any = FakeTable()
    clamp(offsets, [table])
    assert offsets == clamped


def test_dying_says_why_and_leaves_with_its_code(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    end: Any = errors.die
    end(Exit.FENCED, "p 3 has a newer owner")
    assert codes == [79]
    assert caplog.messages == ["fenced: p 3 has a newer owner"]
