from typing import Any

import pytest

from streams.domain.routee.shapes import REPORT, SMS, UNKNOWN, shape_of
from tests.builders import campaign_report, sms_callback

_OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("inbound SMS", {"messageId": "a", "from": "1", "to": "2", "direction": "Inbound", "receivedDate": "2018-01-17"}),
    ("inbound SMS", {"messageId": "a", "from": "1", "to": "2", "message": "STOP", "direction": "Inbound"}),
    ("Viber message", {"trackingId": "v", "status": {"name": "SEEN"}, "body": {"text": "hi"}}),
    (
        "failover",
        {"trackingId": "f", "status": "Succeeded", "messages": [{"type": "Sms"}], "terminationChannel": "Sms"},
    ),
    ("failover", {"type": "Viber", "messageId": "m", "status": {"name": "Delivered"}, "order": 1}),
    ("voice message", {"messageId": "m", "status": {"name": "Busy"}, "audioMessage": "x", "duration": 3}),
    ("voice message", {"messageId": "m", "duration": 3, "chargeInterval": 60}),
    ("two-step verification", {"applicationId": "a", "trackingId": "t", "recipient": "+30", "status": "Verified"}),
    ("URL shortener click", {"shortUrl": "s", "longUrl": "l", "tags": {}, "timestamp": 1, "ip": "127.0.0.1"}),
    ("email", {"message_id": "m", "event": "open"}),
    ("email", {"trackingId": "e", "status": {"id": 1, "name": "open", "dateTime": 1, "final": False}}),
    (UNKNOWN, {}),
    (UNKNOWN, {"messageId": "m"}),
    (UNKNOWN, {"trackingId": "t"}),
]


@pytest.mark.parametrize(("kind", "body"), _OTHERS)
def test_other_kinds_on_the_same_url_are_recognised(kind: str, body: dict[str, Any]) -> None:
    assert shape_of(body) == kind


def test_a_message_with_a_status_is_an_sms() -> None:
    assert shape_of({"messageId": "m", "status": {"name": "Sent"}}) == SMS


def test_unknown_keys_do_not_cost_a_status() -> None:
    pool = {"poolName": "p", "poolId": "1", "poolStrategy": "Numeric", "duration": 1, "messages": 2}
    assert shape_of(sms_callback() | pool) == SMS


@pytest.mark.parametrize("mark", ["audioMessage", "chargeInterval", "duration"])
def test_nothing_is_no_mark_of_a_voice_message(mark: str) -> None:
    """A sender that writes the fields of all channels has null, or an empty text, in those of the others."""
    assert shape_of({"messageId": "m", "status": {"name": "Sent"}, mark: None}) == SMS
    assert shape_of({"messageId": "m", "status": {"name": "Sent"}, mark: ""}) == SMS
    assert shape_of({"messageId": "m", "status": {"name": "Sent"}, mark: 0}) == "voice message"


def test_the_sms_element_of_a_failover_is_an_sms() -> None:
    assert shape_of(sms_callback() | {"type": "Sms", "failoverOnStatuses": ["Failed"], "ttl": 15}) == SMS


@pytest.mark.parametrize("mark", ["messageStatuses", "campaignStatus", "totalRecipients"])
def test_one_mark_of_a_report_is_enough(mark: str) -> None:
    assert shape_of({"trackingId": "t", mark: None}) == REPORT
    assert shape_of(campaign_report()) == REPORT
    assert shape_of(campaign_report() | {"messageId": ""}) == REPORT
