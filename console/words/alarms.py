"""
Alarms in words.
"""

from typing import Final
from urllib.parse import quote

from console.records import Alarm
from console.words.numbers import grouped, percent

KINDS: Final = {
    "delivery-drop": "Share delivered fell",
    "latency-rise": "Delivery slower",
    "route-quiet": "Route is quiet",
    "campaign-hanging": "SMS hang",
    "silence": "Silence",
}


def kind_in_words(alarm: Alarm) -> str:
    """Return what happened; a word that is not known as it came."""
    return KINDS.get(alarm.kind, alarm.kind)


def campaign_of(alarm: Alarm) -> str:
    """Return the id of the campaign that an alarm is of."""
    return alarm.subject.removeprefix("campaign:")


def page_of(alarm: Alarm) -> str:
    """Return the address of the page where an alarm is to be seen."""
    pages = {"account": "/health", "campaign": f"/campaigns/{quote(campaign_of(alarm), safe='')}"}
    return pages.get(alarm.scope, "/routes")


def link_to(alarm: Alarm) -> str:
    """Return the words of the link to that page."""
    return {"account": "Health", "campaign": "See the campaign"}.get(alarm.scope, "See the route")


def place_in_words(alarm: Alarm) -> str:
    """Return the route, the campaign, or the whole account."""
    if alarm.scope == "account":
        return "the whole account"
    if alarm.scope == "campaign":
        return f"campaign {campaign_of(alarm)}"
    place = ", ".join(filter(None, (alarm.operator, alarm.country))) or "a route without a name"
    return f"{alarm.sender or 'SMS without a sender'} on {place}" if alarm.scope == "sender" else place


def amount(alarm: Alarm, value: float) -> str:
    """Return an observed or expected value: a share, or a number of deliveries, callbacks, routes or campaigns."""
    is_share = alarm.kind in {"delivery-drop", "latency-rise", "campaign-hanging"} and alarm.scope != "account"
    return percent(value) if is_share else grouped(value)
