"""
Campaign reports: every form of them.
"""

from typing import Any

import pytest

from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.routee.campaign_report import Read, read_report
from streams.domain.routee.sms import read_callback
from tests.builders import ABSENT, campaign_report, sms_callback


def read(body: dict[str, Any]) -> Read:
    read = read_report(body, Policy())
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


@pytest.mark.parametrize(
    ("given", "counts", "notes"),
    [
        ('{"Delivered": "38", "Sent": 2}', {"Delivered": 38, "Sent": 2}, ["messageStatuses"]),
        ("{}", {}, ["messageStatuses"]),
        ('{"Delivered": "many"}', None, ["messageStatuses"] * 2),
        ("", None, []),
        ("[]", None, ["messageStatuses"]),
        ('{"Delivered":', None, ["messageStatuses"]),
        ([{"Delivered": 38}], None, ["messageStatuses"]),
    ],
)
def test_counts_that_were_written_as_json_twice_are_taken_and_noted(
    given: object, counts: dict[str, int] | None, notes: list[str]
) -> None:
    body = read(campaign_report(counts=given))
    assert (body.report["counts"], body.notes) == (counts, notes)


def test_the_garbled_form_of_the_documents_is_understood() -> None:
    assert counts_of(campaign_report(counts={}, Delivered="38", queued=62, string="number")) == {
        "Delivered": 38,
        "Queued": 62,
    }
    assert counts_of(campaign_report(counts=ABSENT, Delivered=1)) == {"Delivered": 1}


def test_counts_in_the_map_go_before_counts_beside_it() -> None:
    assert counts_of(campaign_report(counts={"Delivered": 5}, Delivered=9, Sent=1)) == {"Delivered": 5, "Sent": 1}


NO_NUMBERS = [-1, 1.5, "many", "1,000", "5 of 100", True, [], {"count": 5}, 1e300]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("word", ["Queued", "Sent", "Buffered"])
def test_a_number_that_is_none_is_left_out(word: str, number: object) -> None:
    body = read(campaign_report(counts={word: number, "Delivered": 1}))
    assert (body.report["counts"], body.notes) == ({"Delivered": 1}, ["messageStatuses"])


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("word", ["Delivered", "failed ", "UNDELIVERED", "Unsent"])
def test_a_number_of_finals_that_cannot_be_read_costs_all_numbers_of_the_report(word: str, number: object) -> None:
    for body in (
        campaign_report(counts={word: number, "Sent": 1}),
        campaign_report(counts={}, Sent=1) | {word: number},
    ):
        found = read(body)
        assert (found.report["counts"], found.notes) == (None, ["messageStatuses"])


@pytest.mark.parametrize("number", [None, "", 0, "0"])
def test_no_number_at_all_is_none_of_that_status(number: object) -> None:
    found = read(campaign_report(counts={"Delivered": number, "Sent": 1}))
    assert (found.report["counts"], found.notes) == ({"Sent": 1}, [])


def test_a_field_beside_the_map_that_only_looks_like_a_status_costs_nothing_of_the_map() -> None:
    assert counts_of(campaign_report(counts={"Delivered": 5}, failed=False, Sent="2026-11-29")) == {"Delivered": 5}


@pytest.mark.parametrize(
    ("field", "value"), [("messageStatuses", [1]), ("totalRecipients", "many"), ("name", []), ("campaignStatus", {})]
)
def test_a_field_that_is_not_understood_is_left_out_and_noted(field: str, value: object) -> None:
    assert read(campaign_report() | {field: value}).notes == [field]


def test_the_words_of_a_report_are_bounded() -> None:
    counts = counts_of(campaign_report(counts={f"w{n}": 1 for n in range(500)} | {"x" * 65: 1, "Sent": 4, "Failed": 5}))
    assert counts is not None
    assert len(counts) == 66
    assert (counts["Sent"], counts["Failed"]) == (4, 5)


@pytest.mark.parametrize(("given", "read_as"), [("finished", "Finished"), ("Paused", "Paused"), (None, None)])
def test_campaign_statuses_are_written_in_routees_spelling(given: str | None, read_as: str | None) -> None:
    assert read(campaign_report(given)).report["campaign_status"] == read_as


def test_the_callback_url_is_not_carried_on() -> None:
    assert "sms.example.com" not in repr(read(campaign_report()))


def test_a_report_without_a_usable_id_is_refused() -> None:
    refusal = read_report(campaign_report(campaign="x" * 257), Policy())
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    "word",
    [
        *("Delivered ", " delivered", "DELIVERED\t", "Delivered\r\n", "dElIvErEd"),
        *("\u00a0Delivered\u00a0", "\ufeffDelivered", "Delivered\u200b", "Delivered\0"),
        *('"Delivered"', "'delivered'", '" DELIVERED "', ' "Delivered'),
    ],
)
def test_a_word_of_a_report_is_read_as_that_of_an_sms(word: str) -> None:
    sms = read_callback(sms_callback(word, None), 0, Policy())
    assert isinstance(sms, Callback)
    assert (sms.status, sms.notes) == ("Delivered", [])
    assert counts_of(campaign_report(counts={word: 2, "Delivered": 3})) == {"Delivered": 5}
    assert counts_of(campaign_report(counts={}) | {word: 2}) == {"Delivered": 2}


def test_an_unknown_word_keeps_its_letters_and_loses_the_white_space_around_it() -> None:
    given = {"Network  Error": 1, " Network Error": 2, "Network_Error": 3, "NETWORK ERROR": 4, " ": 5, "": 6}
    assert counts_of(campaign_report(counts=given)) == {"Network Error": 3, "Network_Error": 3, "NETWORK ERROR": 4}
    sms = read_callback(sms_callback(" Network\t Error ", None), 0, Policy())
    assert isinstance(sms, Callback)
    assert (sms.status, sms.notes) == ("Network Error", ["unknown-status"])


@pytest.mark.parametrize(
    ("given", "read_as"),
    [("Finished ", "Finished"), (" FINISHED\n", "Finished"), (" Paused ", "Paused"), ("  ", None)],
)
def test_a_campaign_status_is_read_by_the_same_reader(given: str, read_as: str | None) -> None:
    assert read(campaign_report(given)).report["campaign_status"] == read_as


@pytest.mark.parametrize(("given", "read_as"), [("oncompletion ", "OnCompletion"), ("Sometimes", "Sometimes")])
def test_a_strategy_is_read_by_the_same_reader(given: str, read_as: str) -> None:
    assert read(campaign_report(strategy=given)).report["strategy"] == read_as


def test_a_count_in_the_map_goes_before_another_spelling_of_it_beside() -> None:
    assert counts_of(campaign_report(counts={"delivered ": 5}, Delivered=9)) == {"Delivered": 5}
    assert counts_of(campaign_report(counts={"Delivered": 0}, DELIVERED=9)) == {}
