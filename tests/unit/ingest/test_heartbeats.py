"""Which workers no longer respond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.heartbeats import Heartbeats

STEP = 0.05
MISSING_SECONDS, FROZEN_SECONDS, BEGIN_SECONDS = 1.5, 3.0, 60.0
"""As the README of ingest has them."""


class Watched:
    """Two workers and their judge, which looks twenty times a second."""

    def __init__(self) -> None:
        self.judge = Heartbeats(2)
        self.beats = [0.0, 0.0]
        self.now = 1_000.0

    def passes(self, seconds: float, *beating: int, step: float = STEP) -> None:
        """Let time pass; these workers beat meanwhile."""
        for _ in range(round(seconds / step)):
            self.now += step
            for worker in beating:
                self.beats[worker] += 1
            self.judge.look(self.beats, self.now)


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.passes(1.0, 0, 1)
    return made


def test_a_silent_worker_is_missing_and_then_frozen(watched: Watched) -> None:
    watched.passes(MISSING_SECONDS - 0.2, 1)
    assert watched.judge.missing == 0
    watched.passes(0.4, 1)
    assert (watched.judge.missing, watched.judge.frozen()) == (1, [])
    watched.passes(FROZEN_SECONDS - MISSING_SECONDS, 1)
    assert (watched.judge.missing, watched.judge.frozen()) == (1, [0])


def test_a_worker_that_beats_again_is_missing_no_more(watched: Watched) -> None:
    watched.passes(FROZEN_SECONDS - 0.2, 1)
    watched.passes(STEP, 0, 1)
    watched.passes(FROZEN_SECONDS - 0.2, 1)
    assert watched.judge.frozen() == []
    watched.passes(STEP, 0, 1)
    assert watched.judge.missing == 0


def test_a_busy_worker_that_beats_now_and_then_is_no_frozen_one(watched: Watched) -> None:
    for _ in range(10):
        watched.passes(FROZEN_SECONDS - 0.2, 1)
        watched.passes(STEP, 0, 1)
        assert watched.judge.frozen() == []


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=12))
def test_time_in_which_the_judge_stood_still_does_not_count(pauses: list[float]) -> None:
    """The machine slept, the judge was stopped, or it got no processor time: fourteen long pauses are under 3 s."""
    watched = Watched()
    watched.passes(1.0, 0, 1)
    for pause in pauses:
        watched.now += pause
        watched.judge.look(watched.beats, watched.now)
    assert watched.judge.frozen() == []


def test_a_worker_that_starts_may_be_silent_for_long(watched: Watched) -> None:
    watched.judge.lost(0)
    watched.passes(BEGIN_SECONDS - 1, 1)
    assert (watched.judge.missing, watched.judge.frozen()) == (1, [])
    watched.passes(STEP, 0, 1)
    assert watched.judge.missing == 0
    watched.passes(FROZEN_SECONDS + STEP, 1)
    assert watched.judge.frozen() == [0]


def test_workers_that_have_never_begun_are_not_missing() -> None:
    watched = Watched()
    watched.passes(BEGIN_SECONDS - 1, 1)
    assert (watched.judge.missing, watched.judge.frozen()) == (0, [])
    watched.passes(2, 1)
    assert watched.judge.frozen() == [0]


def test_a_worker_that_was_excused_has_time_again_and_is_told_of_all_the_while() -> None:
    heartbeats = Heartbeats(1)
    heartbeats.look([1.0], 0.0)
    looks = [0.1 * number for number in range(1, 100)]
    for now in looks:
        heartbeats.look([1.0], now)
        if heartbeats.is_missing(0):
            heartbeats.excuse(0)
        assert heartbeats.frozen() == []
    assert heartbeats.missing == 1
    for now in looks:
        heartbeats.look([1.0], looks[-1] + now)
    assert heartbeats.frozen() == [0]
