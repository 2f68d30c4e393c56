"""
The knowledge of the emulated Routee: the latest status of each SMS as of its time, in lists by campaign and by range.
"""

from collections import Counter
from dataclasses import replace

from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.objects import tracking
from sandbox.emulator.pull.options import DateMeaning, PullOptions
from sandbox.emulator.traffic.model import FINALS, Report, StatusCallback, Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule

START = 1_795_000_000
TRAFFIC = TrafficOptions(
    7, "http://routee.example/x", campaigns=2, recipients=60, singles=20, multipart=0.3, lost=0.2,
    strategies=(Strategy.ON_CHANGE, Strategy.ON_COMPLETION),
)  # fmt: skip
ALL_DAY = (START - 1, START + 86_400 * 2)


def told() -> list[StatusCallback]:
    return [callback.subject for callback in schedule(TRAFFIC, START) if isinstance(callback.subject, StatusCallback)]


def test_everything_is_known_in_the_end_also_without_its_callback() -> None:
    """Each SMS has the last status of its life, whether or not a callback told it."""
    books = Books(TRAFFIC, START)
    callbacks = list(books.follow(schedule(TRAFFIC, START)))
    assert any(callback.lost for callback in callbacks)
    known = books.between(*ALL_DAY, DateMeaning.CREATED)
    assert all(entry.change is entry.part.changes[-1] for entry in known)
    assert {entry.part.sms_id for entry in known} >= {callback.part.sms_id for callback in told()}
    assert all(entry.change.status in FINALS for entry in known)


def test_nothing_is_known_before_it_has_happened() -> None:
    """While callbacks are sent, no status is later than the latest of them; the last status of an SMS is the newest."""
    books = Books(TRAFFIC, START)
    latest = 0.0
    for number, callback in enumerate(books.follow(schedule(TRAFFIC, START))):
        if isinstance(callback.subject, StatusCallback):
            latest = max(latest, callback.subject.change.at)
        if number % 50 == 0:
            known = books.between(*ALL_DAY, DateMeaning.STATUS)
            assert all(entry.change.at <= latest or entry.change is entry.part.changes[0] for entry in known)


def test_a_range_compares_the_date_it_is_told_to() -> None:
    """By creation an SMS lies where it was queued, by status where it changed last."""
    books = Books(TRAFFIC, START)
    books.end()
    entry = max(
        books.between(*ALL_DAY, DateMeaning.STATUS), key=lambda entry: entry.change.at - entry.message.queued_at
    )
    queued, changed = int(entry.message.queued_at), entry.change.updated_at
    assert changed > queued
    assert entry in books.between(queued, queued, DateMeaning.CREATED)
    assert entry not in books.between(queued, queued, DateMeaning.STATUS)
    assert entry in books.between(changed, changed, DateMeaning.STATUS)


def test_the_counts_of_a_campaign_are_those_of_its_last_report() -> None:
    """Case 1 and the details of a campaign say the same in the end."""
    traffic = replace(TRAFFIC, conflicts=0, reorder=0)
    reports = [callback.subject for callback in schedule(traffic, START) if isinstance(callback.subject, Report)]
    books = Books(traffic, START)
    books.end()
    for report in {report.campaign.tracking_id: report for report in reports}.values():
        assert books.report(report.campaign) == report


def test_both_forms_of_a_tracking_object() -> None:
    """Today's form has all fields of the callback; that of 2016 lacks three, and has the smsId all the same."""
    books = Books(TRAFFIC, START)
    books.end()
    campaign = next(entry for entry in books.between(*ALL_DAY, DateMeaning.STATUS) if entry.message.campaign)
    today = tracking(campaign, PullOptions(), in_list=True)
    assert {"part", "parts", "campaignTrackingId", "campaignName", "smsId", "body"} <= today.keys()
    assert "campaignTrackingId" not in tracking(campaign, PullOptions(campaign_ids=False), in_list=True)
    single = tracking(campaign, PullOptions(old_form=True), in_list=False)
    assert single["smsId"] == campaign.part.sms_id
    assert "campaign" in single
    assert not {"part", "label", "campaignTrackingId", "campaignName"} & single.keys()


def test_each_message_is_in_one_list_of_a_campaign_or_in_none() -> None:
    """The lists by campaign have the SMS of all campaigns, and no single ones."""
    books = Books(TRAFFIC, START)
    books.end()
    everything = books.between(*ALL_DAY, DateMeaning.STATUS)
    campaigns = {entry.message.campaign.tracking_id for entry in everything if entry.message.campaign}
    listed = Counter(entry.part.sms_id for campaign in campaigns for entry in books.of_campaign(campaign))
    assert set(listed) == {entry.part.sms_id for entry in everything if entry.message.campaign}
    assert set(listed.values()) == {1}
