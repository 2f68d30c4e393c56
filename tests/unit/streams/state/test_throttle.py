"""A key is admitted at most once per interval, and its last state always."""

from hypothesis import given
from hypothesis import strategies as st

from streams.state.rows.throttle import Throttle, Throttles


def test_the_first_change_goes_at_once() -> None:
    assert Throttle(1.0).admit([b"a"], now=5.0) == [b"a"]


def test_a_second_change_is_held_until_the_interval_is_over() -> None:
    throttle = Throttle(1.0)
    throttle.admit([b"a"], now=5.0)
    assert throttle.admit([b"a"], now=5.5) == []
    assert throttle.held == {b"a"}
    assert not throttle.is_due(now=5.9)
    assert throttle.is_due(now=6.0)
    assert throttle.admit([], now=6.0) == [b"a"]
    assert not throttle.held


def test_keys_do_not_wait_for_each_other() -> None:
    throttle = Throttle(1.0)
    throttle.admit([b"a"], now=5.0)
    assert throttle.admit([b"a", b"b"], now=5.5) == [b"b"]


def test_a_key_held_back_before_a_crash_is_due_at_once() -> None:
    throttle = Throttle(1.0, held=[b"a"])
    assert throttle.is_due(now=0.0)
    assert throttle.admit([], now=0.0) == [b"a"]


def test_without_an_interval_everything_goes_and_nothing_is_held() -> None:
    throttle = Throttle(0.0, held=[b"old"])
    assert sorted(throttle.admit([b"a"], now=0.0)) == [b"a", b"old"]
    assert throttle.admit([b"a"], now=0.0) == [b"a"]
    assert not throttle.held


@given(st.lists(st.tuples(st.floats(0, 0.7), st.sets(st.sampled_from([b"a", b"b", b"c"])))))
def test_no_key_goes_twice_in_an_interval_and_none_is_forgotten(steps: list[tuple[float, set[bytes]]]) -> None:
    throttle, now = Throttle(1.0), 0.0
    went: dict[bytes, float] = {}
    owed: set[bytes] = set()
    for pause, changed in [*steps, (2.0, set())]:
        now += pause
        due = throttle.admit(changed, now)
        owed = (owed | changed) - set(due)
        assert all(now - went.get(key, -9.0) >= 1.0 for key in due)
        assert throttle.held == owed
        went.update(dict.fromkeys(due, now))
    assert not owed


def test_keys_with_another_prefix_have_an_interval_of_their_own() -> None:
    throttles = Throttles({b"c:": 1.0, b"d:": 5.0}, held=[b"d:old"])
    assert throttles.is_due(now=0.0)
    assert throttles.admit([b"c:1", b"d:1", b"x:1"], now=0.0) == [b"c:1", b"d:1", b"d:old"]
    assert throttles.admit([b"c:1", b"d:1"], now=1.0) == [b"c:1"]
    assert throttles.held == {b"d:1"}
    assert not throttles.is_due(now=4.9)
    assert throttles.admit([], now=5.0) == [b"d:1"]
