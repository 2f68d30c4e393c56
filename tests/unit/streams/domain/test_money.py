from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.money import money_text, money_text_or_none, read_money


@pytest.mark.parametrize(
    ("given", "units"),
    [
        (0.006, 600_000),
        (0.0432, 4_320_000),
        ("0.00600000", 600_000),
        (1, 100_000_000),
        (-0.5, -50_000_000),
        (1e-8, 1),
        ("1E-8", 1),
        (0.1 + 0.2, 30_000_000),
        (0, 0),
        (" 0.5 ", 50_000_000),
        (9_999_999_999.99, 999_999_999_999_000_000),
    ],
)
def test_prices_are_read_exactly_to_eight_decimals(given: float | str, units: int) -> None:
    assert read_money(given) == units


@pytest.mark.parametrize("given", ["NaN", "Infinity", "free", "", 1e10, "1e999999999", "9" * 5000])
def test_a_value_that_is_no_amount_is_not_understood(given: float | str) -> None:
    assert read_money(given) is None


@given(st.decimals(min_value=-10_000, max_value=10_000, places=8))
def test_an_amount_that_went_through_json_comes_back_unchanged(amount: Decimal) -> None:
    units = read_money(float(amount))
    assert units is not None
    assert Decimal(money_text(units)) == amount


def test_amounts_are_written_with_eight_decimals() -> None:
    assert money_text(600_000) == "0.00600000"
    assert money_text(-1) == "-0.00000001"
    assert money_text(123 * 10**8) == "123.00000000"
    assert money_text_or_none(None) is None


def test_a_number_that_rounds_up_to_more_than_ten_digits_is_no_amount() -> None:
    assert read_money("9999999999.99999999") == 999_999_999_999_999_999
    assert read_money("9999999999.999999999") is None
