"""
Alarms in words: their subject, their figures, and the page that shows more.
"""

import pytest

from console.records import Alarm
from console.words.alarms import amount, kind_in_words, link_to, page_of, place_in_words

TIME = "2026-11-22T09:00:00.000Z"
ROUTE = Alarm("a", "delivery-drop", TIME, TIME, 1, country="GR", operator="Cosmote", observed=0.4)
SENDER = Alarm("a", "delivery-drop", TIME, TIME, 1, scope="sender", operator="Cosmote", sender="Shop", observed=0.4)
CAMPAIGN = Alarm("a", "campaign-hanging", TIME, TIME, 1, subject="campaign:c/1", scope="campaign", observed=0.3)
ACCOUNT = Alarm("a", "campaign-hanging", TIME, TIME, 1, subject="account", scope="account", observed=3)


@pytest.mark.parametrize(
    ("alarm", "place", "page", "link", "seen"),
    [
        (ROUTE, "Cosmote, GR", "/routes", "See the route", "40.0 %"),
        (SENDER, "Shop on Cosmote", "/routes", "See the route", "40.0 %"),
        (CAMPAIGN, "campaign c/1", "/campaigns/c%2F1", "See the campaign", "30.0 %"),
        (ACCOUNT, "the whole account", "/health", "Health", "3"),
    ],
)
def test_an_alarm_is_told_by_its_place_and_leads_to_its_page(
    alarm: Alarm, place: str, page: str, link: str, seen: str
) -> None:
    assert (place_in_words(alarm), page_of(alarm), link_to(alarm)) == (place, page, link)
    assert amount(alarm, alarm.observed).replace("\u202f", " ").replace("\u00a0", " ") == seen


def test_a_kind_that_is_not_known_is_shown_as_it_came() -> None:
    assert kind_in_words(CAMPAIGN) == "SMS hang"
    assert kind_in_words(Alarm("a", "price-change", TIME, TIME, 1)) == "price-change"
