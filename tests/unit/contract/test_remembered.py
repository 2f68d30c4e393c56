"""What a function of one value returned is remembered."""

import pytest

from streams.contract.remembered import remembered


def test_a_value_is_computed_once_while_it_is_remembered() -> None:
    computed = []

    @remembered(2)
    def doubled(number: int) -> int:
        computed.append(number)
        return 2 * number

    assert [doubled(number) for number in (1, 2, 1, 2)] == [2, 4, 2, 4]
    assert computed == [1, 2]
    assert [doubled(number) for number in (3, 3, 1)] == [6, 6, 2]
    assert computed == [1, 2, 3, 1]


def test_no_more_results_are_kept_than_asked_for() -> None:
    @remembered(3)
    def same(number: int) -> int:
        return number

    results = getattr(same, "__self__")  # noqa: B009 - a function, as far as its type tells
    for number in range(100):
        assert same(number) == number
        assert len(results) <= 3


def test_an_error_is_raised_each_time_and_not_remembered() -> None:
    @remembered(3)
    def inverse(number: int) -> float:
        return 1 / number

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            inverse(0)
