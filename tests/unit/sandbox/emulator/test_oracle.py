"""
The outcome of callbacks, worked out by hand.
"""

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from sandbox.emulator.oracle import CampaignCounts, MessageState, Oracle

ACCEPTED = [{"status": 200, "ms": 1.0}]
TIMEOUT = [{"error": "timeout", "ms": 2000.0}]


def sms(key: str = "a", message: str = "m", parts: int = 1, campaign: str | None = "c") -> dict[str, Any]:
    return {
        "type": "sms",
        "sms_key": key,
        "message_id": message,
        "parts": parts,
        "campaign_tracking_id": campaign,
        "originating_service": "Sms",
    }


def status(word: str, second: int, key: str = "a", answers: list[dict[str, Any]] = ACCEPTED) -> dict[str, Any]:
    return {
        "type": "callback",
        "kind": "status",
        "sms_key": key,
        "status": word,
        "updated_at": f"2026-11-22T09:00:{second:02d}Z",
        "latency_seconds": second,
        "price": "0.036",
        "lost": not answers,
        "answers": answers,
    }


def report(word: str, counts: dict[str, int], answers: list[dict[str, Any]] = ACCEPTED) -> dict[str, Any]:
    return {
        "type": "callback",
        "kind": "report",
        "campaign_tracking_id": "c",
        "campaign_status": word,
        "counts": counts,
        "lost": False,
        "answers": answers,
    }


def campaign() -> dict[str, Any]:
    return {"type": "campaign", "campaign_tracking_id": "c", "total_recipients": 2}


def oracle(*lines: dict[str, Any]) -> Oracle:
    found = Oracle()
    for line in (campaign(), *lines):
        found.take(line)
    return found


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    [
        ([status("Queued", 5), status("Sent", 5)], "Sent"),
        ([status("Delivered", 4), status("Sent", 9)], "Delivered"),
        ([status("Delivered", 4), status("Failed", 5)], "Failed"),
        ([status("Failed", 4), status("Delivered", 5)], "Delivered"),
        ([status("Delivered", 4), status("Undelivered", 4)], "Delivered"),
        ([status("Undelivered", 4), status("Failed", 4)], "Undelivered"),
        ([status("Failed", 4), status("Unsent", 4)], "Failed"),
        ([status("Sent", 1), status("Delivered", 2, answers=[])], "Sent"),
    ],
)
def test_the_greatest_standing_decides_in_any_order(callbacks: list[dict[str, Any]], expected: str) -> None:
    """Rank, then time, then precedence; a lost or repeated callback changes nothing."""
    for order in permutations([*callbacks, callbacks[0]]):
        state = oracle(sms(), *order).sms["a"].state
        assert state is not None
        assert state["status"] == expected


def test_an_unanswered_callback_leaves_two_possibilities() -> None:
    """A callback that was sent and never answered may have been stored or not."""
    found = oracle(sms(), status("Sent", 1), status("Delivered", 2, answers=TIMEOUT)).sms["a"]
    assert not found.is_certain
    assert [line and line["status"] for line in found.possible()] == ["Sent", "Delivered"]


def test_an_unanswered_callback_that_could_change_nothing_is_no_matter() -> None:
    """A stale callback that was never answered leaves the state certain."""
    assert oracle(sms(), status("Delivered", 2), status("Sent", 1, answers=TIMEOUT)).sms["a"].is_certain


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["Delivered", "Delivered"], "Delivered"),
        (["Delivered", "Undelivered"], "Undelivered"),
        (["Unsent", "Undelivered"], "Unsent"),
        (["Failed", "Unsent"], "Failed"),
        (["Delivered", "Sent"], "Sent"),
        (["Queued", "Sent"], "Queued"),
        (["Delivered"], "Sent"),
        (["Queued"], "Queued"),
    ],
)
def test_a_message_is_its_least_advanced_part_then_its_worst(parts: list[str], expected: str) -> None:
    """The roll-up of two parts; the second may have no callback yet."""
    lines = [sms("a", parts=2), sms("b", parts=2)]
    lines += [status(word, 3, key) for key, word in zip("ab", parts, strict=False)]
    assert [message.status for message in oracle(*lines).messages()] == [expected]


def test_messages_add_up_prices_and_take_the_slowest_part() -> None:
    """Price is the sum over parts, once each; latency the greatest."""
    found = oracle(sms("a", parts=2), sms("b", parts=2), status("Delivered", 3), status("Delivered", 7, "b"))
    assert list(found.messages()) == [MessageState("m", "c", "Delivered", True, 2, 2, 7, Decimal("0.072"))]  # noqa: FBT003


def test_campaigns_count_messages_and_parts() -> None:
    """Single SMS do not count; parts and messages are counted apart."""
    found = oracle(
        sms("a", "m", 2), sms("b", "m", 2), sms("d", "n"), sms("e", "o", campaign=None),
        status("Delivered", 3, "a"), status("Undelivered", 3, "b"), status("Sent", 3, "d"), status("Sent", 3, "e"),
    )  # fmt: skip
    assert found.counts()["c"] == CampaignCounts(
        2, {"Undelivered": 1, "Sent": 1}, 3, {"Delivered": 1, "Undelivered": 1, "Sent": 1}, Decimal("0.108")
    )


def test_the_report_with_more_finals_is_the_newest() -> None:
    """Reports have no time: finals order them, then the queue, the campaign's status; equals are all possible."""
    early, late = report("Running", {"Queued": 2, "Delivered": 0}), report("Sent", {"Sent": 1, "Delivered": 1})
    for order in permutations([early, late, report("Queued", {"Queued": 2})]):
        assert oracle(*order).campaigns["c"].newest == [late]
    sent = report("Running", {"Queued": 1, "Sent": 1})
    assert oracle(sent, early).campaigns["c"].newest == [sent]
    tied = report("Running", {"Queued": 1, "Buffered": 1})
    assert oracle(sent, tied).campaigns["c"].newest == [sent, tied]


def test_the_unit_of_the_reports_follows_from_their_sums() -> None:
    """One report of a running campaign may be of its first parts; a lost one tells nothing."""
    queued, sent = report("Queued", {"Queued": 2, "Sent": 0}), report("Running", {"Queued": 1, "Sent": 1})
    for lines, unit in (
        ([], None),
        ([queued, queued], None),
        ([queued, sent], "messages"),
        ([queued, report("Running", {"Sent": 3})], "parts"),
        ([report("Finished", {"Delivered": 3}), sent, queued], "parts"),
        ([report("Finished", {"Delivered": 2})], "messages"),
        ([report("Finished", {"Delivered": 1})], "messages"),
        ([report("Running", {"Delivered": 1}), report("Running", {"Sent": 1})], None),
    ):
        assert oracle(*lines).campaigns["c"].unit == unit


def test_every_200_is_counted() -> None:
    """A callback that was refused first and accepted later counts once as accepted."""
    found = oracle(sms(), status("Sent", 1, answers=[*TIMEOUT, *ACCEPTED]), status("Queued", 0, answers=TIMEOUT))
    assert (found.accepted, found.uncertain, found.lost) == (1, 1, 0)


SWALLOWED = [{"status": 200, "swallowed": True, "ms": 0.1}]


def backfilled(
    end: tuple[str, int], *lines: dict[str, Any], key: str = "a", sms_id: str | None = "a", recipients: int = 2
) -> Oracle:
    """Return the expectation after the backfill of one SMS of a campaign that ends so."""
    found = Oracle(backfilled=True)
    true = {"status": end[0], "updated_at": f"2026-11-22T09:00:{end[1]:02d}Z", "sms_id": "a"}
    of_campaign = campaign() | {"total_recipients": recipients}
    for line in (of_campaign, sms(key) | {"true": true, "sms_id": sms_id}, *lines):
        found.take(line)
    found.ask_routee()
    return found


@pytest.mark.parametrize(
    ("callbacks", "expected", "open_cells"),
    [
        ([status("Sent", 1), status("Delivered", 4, answers=SWALLOWED)], "Delivered", {"conflicts"}),
        ([status("Sent", 1), status("Delivered", 4, answers=[])], "Delivered", {"conflicts"}),
        (
            [status("Sent", 1, answers=SWALLOWED), status("Delivered", 4)],
            "Delivered",
            {"sent_at", "sending_at", "sent_from"},
        ),
        ([status("Failed", 2, answers=SWALLOWED), status("Delivered", 4)], "Delivered", {"conflicts"}),
        ([status("Failed", 2), status("Delivered", 4, answers=SWALLOWED)], "Delivered", {"conflicts"}),
        # Of two finals of the same second Delivered stands, whether a callback or Routee's last word tells it.
        ([status("Undelivered", 4), status("Delivered", 4, answers=SWALLOWED)], "Delivered", {"conflicts"}),
        # A copy told what the first one did not.
        ([status("Delivered", 4, answers=SWALLOWED), status("Delivered", 4)], "Delivered", set()),
    ],
)
def test_a_backfill_makes_the_truth_known(callbacks: list[dict[str, Any]], expected: str, open_cells: set[str]) -> None:
    """Lost statuses count as Routee tells them at the end; the times of lost stages, and lost conflicts, are open."""
    (of_sms,) = backfilled(("Delivered", 4), *callbacks).sms.values()
    assert of_sms.state
    assert of_sms.state["status"] == expected
    assert of_sms.open_cells == {"source", *open_cells}


def test_an_sms_that_no_callback_told_may_have_the_key_of_the_answer() -> None:
    """In the form of 2016 its callbacks have no smsId, and Routee's answers have one."""
    told = status("Sent", 1, key="m#1")
    lost = status("Delivered", 4, key="m#1", answers=SWALLOWED)
    (of_sms,) = backfilled(("Delivered", 4), told, lost, key="m#1", sms_id=None).sms.values()
    assert of_sms.keys == ("m#1", "a")
    assert of_sms.open_cells == {"source", "conflicts", "sms_id"}
    (of_sms,) = backfilled(("Sent", 1), told, key="m#1", sms_id=None).sms.values()
    assert of_sms.keys == ("m#1", "m#1")


def test_the_details_of_a_campaign_are_its_last_report() -> None:
    """When every recipient is final: a lost report comes back, and no report is the last one while an SMS lacks."""
    lines = [
        report("Running", {"Delivered": 1}),
        report("Finished", {"Delivered": 2}, SWALLOWED),
        status("Delivered", 4),
    ]
    (of_campaign,) = backfilled(("Delivered", 4), *lines).campaigns.values()
    assert [line["campaign_status"] for line in of_campaign.newest] == ["Running"]
    (of_campaign,) = backfilled(("Delivered", 4), *lines, recipients=1).campaigns.values()
    assert [(line["campaign_status"], line["counts"]) for line in of_campaign.newest] == [
        ("Finished", {"Delivered": 1})
    ]
    assert of_campaign.is_told


def test_a_campaign_at_routee_counts_the_last_word_of_each_sms() -> None:
    """Of two finals of the same second Delivered stands in the pipeline, and the other one may have come last."""
    lines = [status("Delivered", 4), status("Undelivered", 4, answers=SWALLOWED)]
    found = backfilled(("Undelivered", 4), *lines, recipients=1)
    (of_campaign,), (counts,) = found.campaigns.values(), found.counts().values()
    assert counts.messages_by_status == {"Delivered": 1}
    assert [line["counts"] for line in of_campaign.newest] == [{"Undelivered": 1}]
