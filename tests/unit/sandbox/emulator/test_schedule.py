"""
The traffic: a pure function of its options, and like Routee's.
"""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson
import pytest

from sandbox.emulator.traffic.model import Callback, Malformed, Report, StatusCallback, Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule

START = 1_795_000_000
URL = "http://127.0.0.1:8080/callbacks/s3cret"
CALM = TrafficOptions(
    seed=5,
    callback_url=URL,
    campaigns=2,
    recipients=100,
    singles=40,
    duplicates=0,
    reorder=0,
    conflicts=0,
    malformed=0,
    legacy=0,
)
ROUGH = replace(CALM, duplicates=0.1, reorder=0.2, lost=0.05, conflicts=0.05, malformed=0.05, legacy=0.1)


def traffic(options: TrafficOptions) -> list[Callback]:
    return list(schedule(options, START))


def digest(options: TrafficOptions) -> str:
    found = sha256()
    for callback in schedule(options, START):
        found.update(f"{callback.number} {callback.copy} {callback.lost} ".encode() + callback.body)
    return found.hexdigest()


def statuses(callbacks: list[Callback]) -> Iterator[StatusCallback]:
    return (callback.subject for callback in callbacks if isinstance(callback.subject, StatusCallback))


def reports(callbacks: list[Callback]) -> list[dict[str, Any]]:
    return [orjson.loads(callback.body) for callback in callbacks if isinstance(callback.subject, Report)]


def test_same_seed_same_bytes() -> None:
    """Two runs with the same options give the same callbacks in the same order, also in another process."""
    script = "from tests.unit.sandbox.emulator.test_schedule import ROUGH, digest\nprint(digest(ROUGH))"
    elsewhere = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert digest(ROUGH) == digest(ROUGH) == elsewhere.stdout.strip()


def test_another_seed_gives_other_traffic() -> None:
    """The seed decides."""
    assert digest(ROUGH) != digest(replace(ROUGH, seed=6))


def test_faults_do_not_change_what_happens_to_sms() -> None:
    """More duplicates, loss and disorder leave the lives of the SMS as they were."""
    calm = {(one.part.sms_id, one.change) for one in statuses(traffic(CALM))}
    shaken = {(one.part.sms_id, one.change) for one in statuses(traffic(replace(CALM, reorder=0.5, duplicates=0.5)))}
    assert calm == shaken


def test_a_callback_has_all_documented_fields() -> None:
    """Case 2 bodies carry the 20 documented fields, in the documented order."""
    bodies = [orjson.loads(callback.body) for callback in traffic(CALM) if isinstance(callback.subject, StatusCallback)]
    body = next(body for body in bodies if body.get("campaignName") and body["status"]["name"] == "Delivered")
    assert list(body) == [
        "messageId", "smsId", "campaignTrackingId", "part", "parts", "label", "to", "from", "country", "operator",
        "groups", "campaignName", "status", "message", "applicationName", "latency", "price", "direction",
        "originatingService",
    ]  # fmt: skip
    assert list(body["status"]) == ["name", "reason", "updatedDate"]
    assert list(body["status"]["reason"]) == ["detailedStatus", "description"]


def test_singles_belong_to_no_campaign_in_all_three_ways() -> None:
    """Case 3 differs from Case 2 by `campaignTrackingId` alone, which is absent, null or empty."""
    singles = [orjson.loads(callback.body) for callback in traffic(replace(CALM, campaigns=0))]
    forms = {body.get("campaignTrackingId", "absent") for body in singles}
    assert forms == {"absent", None, ""}
    assert not any("campaignName" in body for body in singles)


def test_times_have_whole_seconds() -> None:
    """`updatedDate` has the form 2026-11-22T09:16:54Z, and never lies before the start or a day after it."""
    for callback in traffic(CALM):
        if isinstance(callback.subject, StatusCallback):
            text = orjson.loads(callback.body)["status"]["updatedDate"]
            assert len(text) == len("2026-11-22T09:16:54Z")
            assert START <= datetime.fromisoformat(text).timestamp() < START + 86_400


def test_prices_are_numbers_with_eight_decimals() -> None:
    """The price is a JSON number with 8 decimals, trailing zeros included."""
    bodies = b"\n".join(callback.body for callback in traffic(CALM))
    assert b'"price":0.03600000,' in bodies


def test_every_part_lives_through_its_statuses() -> None:
    """Each part of each message is called back for Queued, perhaps Sent, and one final status."""
    lives = defaultdict(list)
    for one in statuses(traffic(replace(CALM, multipart=1))):
        lives[one.part.sms_id].append(str(one.change.status))
    assert {tuple(sorted(life)) for life in lives.values()} <= {
        ("Delivered", "Queued", "Sent"), ("Queued", "Sent", "Undelivered"), ("Failed", "Queued"), ("Queued", "Unsent"),
    }  # fmt: skip


def test_parts_share_the_message_and_differ_in_sms_id() -> None:
    """Parts are numbered from 1, know how many they are, and have a price each."""
    messages: dict[str, dict[int, str]] = defaultdict(dict)
    for one in statuses(traffic(replace(CALM, multipart=1))):
        messages[one.message.message_id][one.part.number] = one.part.sms_id
        assert one.change.price >= Decimal(0)
    for parts in messages.values():
        assert sorted(parts) == list(range(1, len(parts) + 1))
        assert len(set(parts.values())) == len(parts) >= 2


def test_on_completion_calls_back_finals_only() -> None:
    """With OnCompletion there is no Queued, no Sent, and one report per campaign."""
    callbacks = traffic(replace(CALM, strategies=(Strategy.ON_COMPLETION,)))
    assert {one.change.status.is_final for one in statuses(callbacks)} == {True}
    assert [(report["campaignStatus"], report["callbackInfo"]["strategy"]) for report in reports(callbacks)] == [
        ("Finished", "OnCompletion")
    ] * 2


def test_strategies_take_turns() -> None:
    """With several strategies the campaigns alternate."""
    callbacks = traffic(replace(CALM, strategies=(Strategy.ON_CHANGE, Strategy.ON_COMPLETION)))
    found = {report["trackingId"]: report["callbackInfo"]["strategy"] for report in reports(callbacks)}
    assert sorted(found.values()) == ["OnChange", "OnCompletion"]


def test_reports_come_at_every_fifth() -> None:
    """With OnChange a report comes for each fifth of the campaign that a status reaches or leaves, and at the end."""
    campaign = reports(traffic(replace(CALM, campaigns=1)))
    assert [report["campaignStatus"] for report in campaign][:2] == ["Queued", "Running"]
    assert campaign[-1]["campaignStatus"] == "Finished"
    fifths = [tuple(count // 20 for count in report["messageStatuses"].values()) for report in campaign]
    states = list(zip(fifths, (report["campaignStatus"] for report in campaign), strict=True))
    assert len(states) == len(set(states))
    assert 8 <= len(campaign) <= 20


def test_reports_count_every_recipient() -> None:
    """The counts of a report add up to the recipients: messages, however many parts they have."""
    for report in reports(traffic(replace(CALM, multipart=0.5))):
        assert sum(report["messageStatuses"].values()) == report["totalRecipients"] == 100


def test_reports_echo_the_callback_url() -> None:
    """The secret in the URL comes back in `callbackInfo.url`, as it does from Routee."""
    assert {report["callbackInfo"]["url"] for report in reports(traffic(CALM))} == {URL}


def test_finals_never_decrease_over_reports() -> None:
    """Readers may order reports by their finals."""
    finals = defaultdict(list)
    for report in reports(traffic(CALM)):
        counts = report["messageStatuses"]
        finals[report["trackingId"]].append(report["totalRecipients"] - counts["Queued"] - counts["Sent"])
    assert all(numbers == sorted(numbers) for numbers in finals.values())


def test_disorder_brings_a_stale_sent_after_delivered() -> None:
    """With `reorder` some SMS are told to be Sent after they were Delivered."""
    seen: dict[str, list[str]] = defaultdict(list)
    for one in statuses(traffic(replace(CALM, reorder=0.3))):
        seen[one.part.sms_id].append(str(one.change.status))
    assert ["Queued", "Delivered", "Sent"] in seen.values()


def test_without_disorder_every_sms_is_told_in_order() -> None:
    """Without reordering no callback overtakes another, save within the jitter of a second."""
    seen: dict[str, list[int]] = defaultdict(list)
    for one in statuses(traffic(CALM)):
        seen[one.part.sms_id].append(one.change.updated_at)
    assert all(later >= earlier - 1 for times in seen.values() for earlier, later in pairwise(times))


def test_copies_repeat_earlier_bytes() -> None:
    """A duplicate is the same body again, later."""
    seen: Counter[bytes] = Counter()
    callbacks = traffic(replace(CALM, duplicates=0.2))
    for callback in callbacks:
        if callback.copy:
            assert seen[callback.body]
        seen[callback.body] += 1
    assert 0.1 < sum(callback.copy for callback in callbacks) / len(callbacks) < 0.3


def test_lost_callbacks_are_told_apart() -> None:
    """Lost callbacks are in the schedule, marked, and about as many as were asked for."""
    callbacks = traffic(replace(CALM, recipients=500, lost=0.1))
    assert 0.07 < sum(callback.lost for callback in callbacks) / len(callbacks) < 0.13


def test_conflicts_are_different_finals() -> None:
    """A conflicting SMS has two different finals, the second never earlier, sometimes in the same second."""
    lives = {
        one.part.sms_id: one.part.changes for one in statuses(traffic(replace(CALM, recipients=400, conflicts=0.2)))
    }
    conflicts = [changes[-2:] for changes in lives.values() if len([c for c in changes if c.status.is_final]) == 2]
    assert conflicts
    assert all(first.status is not second.status for first, second in conflicts)
    assert all(first.at <= second.at for first, second in conflicts)
    assert any(first.updated_at == second.updated_at for first, second in conflicts)


def test_legacy_messages_lack_what_2016_lacked() -> None:
    """The shape of 2016 has no smsId, part, label and reason."""
    callbacks = traffic(replace(CALM, legacy=1, multipart=0))
    for callback in callbacks:
        if isinstance(callback.subject, StatusCallback):
            body = orjson.loads(callback.body)
            assert not {"smsId", "part", "label"} & set(body)
            assert "reason" not in body["status"]


def test_malformed_bodies_are_all_different() -> None:
    """Each malformed body is found again by its bytes; all kinds occur."""
    bodies = [
        c.subject for c in traffic(replace(CALM, recipients=300, malformed=0.3)) if isinstance(c.subject, Malformed)
    ]
    assert len({one.body for one in bodies}) == len(bodies)
    assert len({one.kind for one in bodies}) == 19


@pytest.mark.parametrize(
    "options",
    [replace(CALM, campaigns=0), replace(CALM, singles=0), replace(CALM, recipients=0), replace(CALM, recipients=1)],
    ids=["no campaigns", "no singles", "no recipients", "one recipient"],
)
def test_small_sizes_work(options: TrafficOptions) -> None:
    """Nothing at all of something is no error."""
    assert traffic(options)


def test_numbers_are_the_order_of_sending() -> None:
    """Callbacks are numbered from 1 without a gap."""
    assert [callback.number for callback in traffic(ROUGH)] == list(range(1, len(traffic(ROUGH)) + 1))
