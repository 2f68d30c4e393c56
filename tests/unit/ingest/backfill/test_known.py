"""
The state that the topics tell: the news of a tracked SMS, and the campaigns and messages that may lack callbacks.
"""

from typing import Any, Final

import pytest

from ingest.backfill.known import Known
from ingest.backfill.tracking import Tracked, report

NOON: Final = "2026-11-22T12:00:00.000Z"
NOON_MS: Final = 1795348800000
LATER: Final = NOON_MS + 1000


def record(status: str = "Sent", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    is_final = status in ("Delivered", "Undelivered", "Failed", "Unsent")
    return {
        "sms_key": "s-1", "message_id": "M-1", "sms_id": "S-1", "part": 1, "parts": 1, "status": status,
        "status_updated_at": NOON, "campaign_tracking_id": None, "first_received_at": NOON, "received_at": NOON,
        "final_at": NOON if is_final else None, "is_final": is_final, "message_is_final": is_final,
        "message_price": "0.5", "price": "0.5",
    } | fields  # fmt: skip


def sms(status: str, date_ms: int = LATER, sms_id: str | None = "s-1", part: int | None = 1) -> Tracked:
    return Tracked(b"{}", "m-1", sms_id, part, status, date_ms, None, None)


def campaign(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "campaign_tracking_id": "C-1", "name": "Spring sale", "first_received_at": NOON, "last_received_at": NOON,
        "total_recipients": 10, "messages": 12, "reconciliation": "behind", "campaign_status": "Finished",
        "reported_by_status": {"Delivered": 10, "Failed": 0},
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("before", "found", "healed"),
    [
        ("Queued", sms("Sent"), "status"),
        ("Sent", sms("Delivered"), "final"),
        ("Sent", sms("Delivered", 0), "final"),
        ("Sent", sms("Sent"), None),
        ("Sent", sms("Queued"), None),
        ("Delivered", sms("Sent"), None),
        ("Delivered", sms("Delivered"), None),
        ("Delivered", sms("Undelivered"), "final"),
        ("Delivered", sms("Undelivered", NOON_MS), None),
        ("Undelivered", sms("Delivered", NOON_MS), "final"),
        ("Undelivered", sms("Delivered", NOON_MS - 1), None),
        ("Undelivered", sms("\u200bundelivered "), None),
        ("Sent", sms("Buffered", NOON_MS), "status"),
        ("Delivered", sms("Undelivered", 0), None),
        ("Sent", sms("Buffered"), "status"),
        ("Buffered", sms("Sent", NOON_MS), None),
        ("Buffered", sms("Enroute", NOON_MS), "status"),
        ("Enroute", sms("Buffered", NOON_MS), None),
    ],
)
def test_news_of_a_known_sms(before: str, found: Tracked, healed: str | None) -> None:
    """A status that is further, or a different one of the same rank that is dated later."""
    known = Known()
    known.take_sms(record(before))
    assert known.healing(found) == healed


@pytest.mark.parametrize(
    ("fields", "found", "is_known"),
    [
        ({}, sms("Sent"), True),
        ({}, sms("Sent", sms_id="S-1", part=None), True),
        ({}, sms("Sent", sms_id="s-2"), False),
        ({}, sms("Sent", sms_id=None), True),
        ({}, sms("Sent", sms_id=None, part=2), False),
        ({"sms_id": None}, sms("Sent", sms_id="s-9"), True),
        ({"sms_id": None, "part": None}, sms("Sent", sms_id="s-9", part=1), True),
        ({"sms_id": None, "part": 2}, sms("Sent", sms_id="s-9", part=None), False),
    ],
)
def test_an_sms_is_found_as_streams_finds_it(fields: dict[str, Any], found: Tracked, is_known: bool) -> None:  # noqa: FBT001
    """By its id in any case, by its part when either side has no id."""
    known = Known()
    known.take_sms(record(**fields))
    assert known.healing(found) == (None if is_known else "missing")


def test_an_sms_of_its_id_goes_before_one_of_its_part_without_an_id() -> None:
    known = Known()
    known.take_sms(record("Sent", sms_id=None, sms_key="M-1#1"))
    known.take_sms(record("Delivered", sms_id="s-2", sms_key="s-2", part=2))
    assert known.healing(sms("Delivered", sms_id="s-2", part=None)) is None


def test_every_date_of_routees_is_later_than_a_final_without_one() -> None:
    """Its time in the record is that of the receipt."""
    known = Known()
    known.take_sms(record("Undelivered", final_at=None))
    assert known.healing(sms("Delivered", NOON_MS - 60_000)) == "final"
    assert known.healing(sms("Failed", 0)) is None


def test_a_written_sms_is_not_written_again() -> None:
    """Before streams has told it."""
    known = Known()
    for found in (sms("Delivered"), sms("Sent", sms_id="s-2", part=2)):
        assert known.healing(found) == "missing"
        known.note(found, NOON_MS)
        assert known.healing(found) is None
    known.take_sms(record("Queued", message_id="m-2", sms_id=None, sms_key="m-2#1"))
    found = sms("Sent", sms_id="s-3")._replace(message_id="m-2")
    known.note(found, NOON_MS)
    assert known.healing(found) is None
    assert len(known.messages["m-2"].sms) == 1


def test_messages_that_are_not_final_are_unsettled_after_the_grace() -> None:
    """So is a message that lacks parts: it is not final."""
    known = Known()
    known.take_sms(record("Delivered", message_is_final=False))
    known.take_sms(record("Delivered", message_id="m-2", sms_key="s-2"))
    assert [message.message_id for message in known.unsettled(LATER)] == ["M-1"]
    assert not list(known.unsettled(NOON_MS))
    known.take_sms(record("Delivered"))
    assert not list(known.unsettled(LATER))


def test_a_record_of_the_first_version_tells_its_message_by_its_status() -> None:
    """It has no fields of the message."""
    known = Known()
    known.take_sms(record("Delivered", message_is_final=None, message_price=None))
    known.take_sms(record("Sent", message_is_final=None, message_id="m-2"))
    assert [message.message_id for message in known.unsettled(LATER)] == ["m-2"]


def test_old_final_messages_take_no_memory() -> None:
    """Old ones that are not final stay: they are counted as gone."""
    known = Known(oldest_ms=LATER)
    known.take_sms(record("Delivered"))
    known.take_sms(record("Sent", message_id="m-2"))
    assert list(known.messages) == ["m-2"]


def test_final_messages_are_forgotten_with_the_window() -> None:
    """A program that watches for months must not grow; one that is not final stays."""
    known = Known()
    known.take_sms(record("Delivered"))
    known.take_sms(record("Delivered", message_id="m-2", received_at="2026-11-22T12:00:02.000Z"))
    known.take_sms(record("Sent", message_id="m-3"))
    known.forget(LATER)
    assert list(known.messages) == ["m-2", "m-3"]
    known.take_sms(record("Delivered"))
    assert list(known.messages) == ["m-2", "m-3"]


def test_a_campaign_that_has_not_ended_may_lack_its_last_report() -> None:
    """Its verdict does not matter; after the end Routee reports no more."""
    known = Known()
    for number, (verdict, status) in enumerate(
        [("ahead", "Running"), ("undecided", None), ("consistent", "Finished"), ("ahead", "Failed")]
    ):
        known.take_campaign(
            campaign(campaign_tracking_id=f"x-{number}", reconciliation=verdict, campaign_status=status)
        )
    assert [(one.campaign_id, one.may_lack) for one in known.lacking(LATER)] == [("x-0", False), ("x-1", False)]


@pytest.mark.parametrize("verdict", ["behind", "mixed", "underived", "unreported"])
def test_campaigns_that_may_lack_callbacks(verdict: str) -> None:
    """After the grace; one that is consistent, ahead or undecided lacks none that Routee counts."""
    known = Known()
    known.take_campaign(campaign(reconciliation=verdict))
    for number, other in enumerate(["consistent", "ahead", "undecided"]):
        known.take_campaign(campaign(campaign_tracking_id=f"x-{number}", reconciliation=other))
    assert [found.campaign_id for found in known.lacking(LATER)] == ["C-1"]
    assert not list(known.lacking(NOON_MS))
    assert known.named("Spring sale") == ["C-1", "x-0", "x-1", "x-2"]


def test_a_report_that_says_nothing_new() -> None:
    """Zeros say nothing."""
    known = Known()
    known.take_campaign(campaign())
    details = {"trackingId": "c-1", "state": "Finished", "statuses": {"Delivered": 10, "Queued": 0}}
    same, other = report(details), report(details | {"state": "Running"})
    spelled = report({"trackingId": "c-1", "state": "finished", "statuses": {" delivered": 10}})
    assert not isinstance(same, str)
    assert not isinstance(other, str)
    assert not isinstance(spelled, str)
    assert known.is_told("c-1", same)
    assert known.is_told("c-1", spelled), "streams tells words in Routee's spelling: each round would store it again"
    assert not known.is_told("c-1", other)
    assert not known.is_told("c-2", same)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"state": None}, id="without a status"),
        pytest.param({"statuses": {"Delivered": 4, "delivered ": 6}}, id="a status in two spellings"),
        pytest.param({"statuses": {"\u200bDelivered": "10.0"}}, id="with an invisible character"),
    ],
)
def test_a_report_that_changes_nothing_in_streams_is_told(fields: dict[str, Any]) -> None:
    """Each round would store it again."""
    known = Known()
    known.take_campaign(campaign())
    found = report({"trackingId": "c-1", "state": "Finished", "statuses": {"Delivered": 10}} | fields)
    assert not isinstance(found, str)
    assert known.is_told("c-1", found)
