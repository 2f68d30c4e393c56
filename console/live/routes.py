"""
Routes from the live cells alone, for the time in which ClickHouse is away. Pure.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from console.eta.survival import BOUNDS
from console.records import Cell
from console.words.times import moment_of

SOON: Final = 300
"""Delivered within so many seconds of sending."""

_WINDOW: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(minutes=65)
_JUDGED: Final = timedelta(minutes=25)


def live_routes(cells: Iterable[Cell], now: datetime, country: str = "", sender: str = "") -> list[dict[str, Any]]:
    """
    Return a row for each route of the last hour, as the tables would: SMS, latencies, and the share soon.

    A window is judged five minutes after its end; no price is known here.
    """
    found: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for cell in cells:
        begin = moment_of(cell.window_start)
        if begin is None or begin <= now - _HOUR or (country and cell.country != country):
            continue
        if sender and cell.sender != sender:
            continue
        row = found.setdefault((cell.country, cell.operator), _nothing(cell))
        within = [cell.delivered_by_latency.get(str(bound), 0) for bound in BOUNDS]
        row["sms"] += cell.parts
        row["within"] = [known + more for known, more in zip(row["within"], within, strict=True)]
        end = begin + _WINDOW
        if now - _JUDGED < end < now - timedelta(seconds=SOON):
            row["judged"] += cell.parts
            row["soon"] += sum(number for bound, number in zip(BOUNDS, within, strict=True) if bound <= SOON)
    return sorted(found.values(), key=lambda row: -row["sms"])


def _nothing(cell: Cell) -> dict[str, Any]:
    return {
        "country": cell.country,
        "operator": cell.operator,
        "sms": 0,
        "price_total": None,
        "priced": 0,
        "within": [0] * len(BOUNDS),
        "judged": 0,
        "soon": 0,
    }
