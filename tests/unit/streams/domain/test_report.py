"""
Campaign reports: every form of them, and the order of two reports.
"""

from typing import Any

import pytest

from streams.contract.records import Reason
from streams.domain.refusal import Refusal
from streams.domain.report import Report, newer
from streams.domain.routee.campaign_report import Read, read_report
from tests.builders import ABSENT, campaign_report


def read(body: dict[str, Any]) -> Read:
    read = read_report(body)
    assert isinstance(read, Read)
    return read


def counts_of(body: dict[str, Any]) -> dict[str, int] | None:
    return read(body).report["counts"]


def test_a_report_is_read() -> None:
    body = campaign_report("Running", {"Queued": 20, "Sent": 40, "Delivered": 38, "Failed": 0})
    assert read(body).report == {
        "name": "Spring sale",
        "campaign_status": "Running",
        "strategy": "OnChange",
        "total_recipients": 100,
        "counts": {"Queued": 20, "Sent": 40, "Delivered": 38},
    }


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({}, {}),
        (ABSENT, None),
        (None, None),
        ({"Delivered": "38"}, {"Delivered": 38}),
        ({"Delivered": 38.0}, {"Delivered": 38}),
        ({"delivered": 1, "DELIVERED": 2}, {"Delivered": 3}),
        ({"Expired": 3}, {"Expired": 3}),
        ({"Delivered": 0, "Unsent": "0"}, {}),
    ],
)
def test_counts_come_in_many_forms(given: object, counts: dict[str, int] | None) -> None:
    body = read(campaign_report(counts=given))
    assert (body.report["counts"], body.notes) == (counts, [])


def test_the_garbled_form_of_the_documents_is_understood() -> None:
    assert counts_of(campaign_report(counts={}, Delivered="38", queued=62, string="number")) == {
        "Delivered": 38,
        "Queued": 62,
    }
    assert counts_of(campaign_report(counts=ABSENT, Delivered=1)) == {"Delivered": 1}


def test_counts_in_the_map_go_before_counts_beside_it() -> None:
    assert counts_of(campaign_report(counts={"Delivered": 5}, Delivered=9, Sent=1)) == {"Delivered": 5, "Sent": 1}


@pytest.mark.parametrize("number", [-1, 1.5, "many", None, True, [], 1e300])
def test_a_number_that_is_none_is_left_out(number: object) -> None:
    assert counts_of(campaign_report(counts={"Delivered": number, "Sent": 1})) == {"Sent": 1}


@pytest.mark.parametrize(
    ("field", "value"), [("messageStatuses", [1]), ("totalRecipients", "many"), ("name", []), ("campaignStatus", {})]
)
def test_a_field_that_is_not_understood_is_left_out_and_noted(field: str, value: object) -> None:
    assert read(campaign_report() | {field: value}).notes == [field]


def test_the_words_of_a_report_are_bounded() -> None:
    counts = counts_of(campaign_report(counts={f"w{n}": 1 for n in range(500)} | {"x" * 65: 1, "Sent": 4}))
    assert counts is not None
    assert len(counts) == 64


@pytest.mark.parametrize(("given", "read_as"), [("finished", "Finished"), ("Paused", "Paused"), (None, None)])
def test_campaign_statuses_are_written_in_routees_spelling(given: str | None, read_as: str | None) -> None:
    assert read(campaign_report(given)).report["campaign_status"] == read_as


def test_the_callback_url_is_not_carried_on() -> None:
    assert "sms.example.com" not in repr(read(campaign_report()))


def test_a_report_without_a_usable_id_is_refused() -> None:
    refusal = read_report(campaign_report(campaign="x" * 257))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.INVALID_FIELD


def report(status: str | None = "Running", total: int | None = 100, **counts: int) -> Report:
    return Report(name=None, campaign_status=status, strategy=None, total_recipients=total, counts=counts or None)


def test_a_first_report_stands() -> None:
    assert newer(None, report()) == report()


@pytest.mark.parametrize(
    ("known", "given"),
    [
        (report(Delivered=5), report(Delivered=6)),
        (report(Delivered=5, Failed=1), report(Delivered=7, Sent=3)),
        (report("Running", Delivered=5), report("Sent", Delivered=5)),
        (report("Scheduled"), report("Queued")),
        (report("Queued"), report("Running")),
        (report("Sent"), report("Finished")),
        (report("Sent"), report("Failed")),
    ],
)
def test_more_finals_are_newer_then_the_later_status(known: Report, given: Report) -> None:
    assert newer(known, given) == given
    assert newer(given, known) is None


def test_between_equals_the_one_that_arrived_later_stands() -> None:
    assert newer(report(Sent=4, Queued=6), report(Sent=5, Queued=5)) == report(Sent=5, Queued=5)


def test_a_report_without_counts_keeps_the_known_counts() -> None:
    assert newer(report(Delivered=5), report("Finished")) == report("Finished", Delivered=5)


def test_values_that_a_newer_report_leaves_out_are_kept() -> None:
    assert newer(report("Sent", 100, Delivered=5), report(None, None, Delivered=6)) == report("Sent", 100, Delivered=6)
