"""
Alarms in words.
"""

from typing import Final

from console.records import Alarm
from console.words.numbers import grouped, percent

KINDS: Final = {
    "delivery-drop": "Share delivered fell",
    "latency-rise": "Delivery slower",
    "route-quiet": "Route is quiet",
    "silence": "Silence",
}


def kind_in_words(alarm: Alarm) -> str:
    """Return what happened; a word that is not known as it came."""
    return KINDS.get(alarm.kind, alarm.kind)


def place_in_words(alarm: Alarm) -> str:
    """Return the route, or the whole account."""
    if alarm.scope == "account":
        return "the whole account"
    place = ", ".join(filter(None, (alarm.operator, alarm.country))) or "a route without a name"
    return f"{alarm.sender or 'SMS without a sender'} on {place}" if alarm.scope == "sender" else place


def amount(alarm: Alarm, value: float) -> str:
    """Return an observed or expected value: a share, or a number of deliveries, callbacks or routes."""
    is_share = alarm.kind in {"delivery-drop", "latency-rise"} and alarm.scope != "account"
    return percent(value) if is_share else grouped(value)
