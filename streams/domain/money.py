"""
Prices as whole numbers of 1/100,000,000, so that sums are exact in any order; reading and writing them.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from streams.contract.remembered import remembered

DECIMALS: Final = 8
_UNIT: Final = 10**DECIMALS
_MAX_WHOLE_DIGITS: Final = 10  # the limit of Decimal(18, 8)
MOST_UNITS: Final = 10 ** (_MAX_WHOLE_DIGITS + DECIMALS) - 1


def read_money(value: float | str) -> int | None:
    """
    Return the amount in units of 1e-8, None when the value is no amount or has more than 10 whole digits.

    A JSON number is read as its shortest text, as Routee wrote it; more than 8 decimals are rounded half even.
    """
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else repr(value))
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount.adjusted() >= _MAX_WHOLE_DIGITS:
        return None
    units = int(amount.scaleb(DECIMALS).to_integral_value(ROUND_HALF_EVEN))
    return units if abs(units) <= MOST_UNITS else None


@remembered(4096)
def money_text(units: int) -> str:
    """Return the amount with 8 decimals: `0.00600000`."""
    whole, part = divmod(abs(units), _UNIT)
    return f"{'-' if units < 0 else ''}{whole}.{part:08d}"


def money_text_or_none(units: int | None) -> str | None:
    """Return the amount with 8 decimals, None for none."""
    return None if units is None else money_text(units)
