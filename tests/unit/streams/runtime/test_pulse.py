"""Alarms, commits and exit codes."""

from typing import Any

import pytest
from faust.types import TP

from streams import errors
from streams.errors import Exit
from streams.runtime.consumer import clamp
from streams.runtime.pulse import Pulse
from tests.support.clock import FakeClock
from tests.support.deaths import Deaths, DiedError


@pytest.fixture
def deaths() -> Deaths:
    return Deaths()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_worker_that_beats_regularly_goes_on(deaths: Deaths, clock: FakeClock) -> None:
    mine = Pulse(4.0, lambda: 1, die=deaths, clock=clock.monotonic)
    for _ in range(10):
        mine.beat()
        clock.now += 3.9
        mine.check()
    assert not deaths.codes


def test_a_worker_that_stood_still_ends_itself_before_it_writes(deaths: Deaths, clock: FakeClock) -> None:
    mine = Pulse(4.0, lambda: 1, die=deaths, clock=clock.monotonic)
    mine.beat()
    clock.now += 4.1
    with pytest.raises(DiedError):
        mine.check()
    assert deaths.codes == [Exit.MAYBE_REPLACED]


def test_a_worker_that_its_group_removed_ends_itself(deaths: Deaths, clock: FakeClock) -> None:
    mine = Pulse(4.0, lambda: -1, die=deaths, clock=clock.monotonic)
    with pytest.raises(DiedError):
        mine.check()
    assert deaths.codes == [Exit.MAYBE_REPLACED]


class FakeTable:
    """A table whose partition 0 is durable up to offset 5; partition 1 has no durable offset."""

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
def test_a_commit_never_exceeds_the_durable_offset(offsets: dict[TP, int], clamped: dict[TP, int]) -> None:
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
