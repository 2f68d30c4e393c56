"""
Numbers as people read them: groups of three, a share with one decimal, money as Routee counts it.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

SPACE: Final = "\u00a0"
"""Between a number and its unit: they stay on one line."""

NONE: Final = "–"
_CENTS: Final = Decimal("0.01")
_PARTS: Final = Decimal("0.0001")
_LARGE: Final = 10
_WHOLE: Final = 1.0


def grouped(number: float | None) -> str:
    """Return `12,000`; `–` for a number that is not known."""
    return NONE if number is None else f"{number:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return `84.8 %` of a share from 0 to 1. Less than all is never written as 100 %."""
    if share is None:
        return NONE
    if share >= _WHOLE:
        return f"100{SPACE}%"
    scale = 10**digits
    return f"{min(int(share * 100 * scale + 0.5), 100 * scale - 1) / scale:.{digits}f}{SPACE}%"


def share(part: float, whole: float | None) -> float | None:
    """Return part / whole, None without a whole."""
    return part / whole if whole else None


def money(amount: str | float | Decimal | None) -> str:
    """Return an amount with cents; a price of a part has four decimals."""
    value = _decimal(amount)
    if value is None:
        return NONE
    return f"{value.quantize(_CENTS):,}"


def price(amount: str | float | Decimal | None) -> str:
    """Return the price of one message or part."""
    value = _decimal(amount)
    return NONE if value is None else f"{value.quantize(_PARTS):,}"


def seconds(value: float | None) -> str:
    """Return seconds without a unit: whole ones from ten on."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= _LARGE or value == int(value) else f"{value:.1f}"


def counted(number: int, one: str, more: str | None = None) -> str:
    """Return `1 message`, `2 messages`."""
    return f"{grouped(number)} {one if number == 1 else more or f'{one}s'}"


def _decimal(amount: str | float | Decimal | None) -> Decimal | None:
    try:
        return None if amount is None else Decimal(str(amount))
    except InvalidOperation:
        return None
