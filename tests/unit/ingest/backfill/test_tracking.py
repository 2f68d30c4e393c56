"""
Tracking objects in sixty shapes: each becomes the callback that it stands for, or says why it is none.
"""

from itertools import product
from typing import Any, Final

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from ingest.backfill.tracking import _whole, date_ms, rank, report, tracked
from streams.contract.keys import NIL_ID
from streams.domain.callback import Callback
from streams.domain.policy import Policy
from streams.domain.routee import coercion
from streams.domain.routee.bodies import read_body
from streams.domain.routee.campaign_report import Read, read_report
from tests.builders import ABSENT, campaign_report, without_absent

Json = dict[str, Any]

M, S, C = "5b1c9f0a-0000-4000-8000-000000000001", "5b1c9f0a-0000-4000-8000-0000000000a1", "c0ffee00-0000-4000-8000-01"
DATE: Final = "2026-11-22T09:16:54Z"
REASON: Final = {"detailedStatus": "Delivered", "description": "Delivered to the handset."}
TODAY: Final[Json] = {
    "smsId": S, "messageId": M, "campaignTrackingId": C, "to": "+306900000001", "from": "Shop", "body": "Hello",
    "country": "GR", "operator": "Cosmote", "groups": ["vip"], "part": 1, "parts": 2, "label": "spring",
    "applicationName": "default", "campaignName": "Spring sale", "latency": 3, "price": 0.0432,
    "direction": "Outbound", "originatingService": "Sms",
    "status": {"status": "Delivered", "date": DATE, "reason": REASON},
}  # fmt: skip
CALLBACK: Final[Json] = {
    "messageId": M, "smsId": S, "campaignTrackingId": C, "part": 1, "parts": 2, "label": "spring",
    "to": "+306900000001", "from": "Shop", "country": "GR", "operator": "Cosmote", "groups": ["vip"],
    "applicationName": "default", "latency": 3, "price": 0.0432, "direction": "Outbound", "originatingService": "Sms",
    "campaignName": "Spring sale", "status": {"name": "Delivered", "updatedDate": DATE, "reason": REASON},
    "message": "Hello",
}  # fmt: skip


def status(**fields: Any) -> Json:  # noqa: ANN401
    return {"status": without_absent(TODAY["status"] | fields)}


def told(**fields: Any) -> Json:  # noqa: ANN401
    return {"status": without_absent(CALLBACK["status"] | fields)}


SAME: Final[Json] = {}
# A change of today's form, and the change of the callback that follows; ABSENT: the field is left out.
SHAPES: Final[list[tuple[Json, Json]]] = [
    (SAME, SAME),
    ({"smsId": ABSENT}, {"smsId": ABSENT}),
    ({"smsId": None}, {"smsId": ABSENT}),
    ({"smsId": ""}, {"smsId": ABSENT}),
    ({"smsId": 17}, {"smsId": "17"}),
    ({"messageId": 17}, {"messageId": "17"}),
    ({"messageId": M.upper()}, {"messageId": M.upper()}),
    ({"part": ABSENT}, {"part": ABSENT}),
    ({"part": None}, {"part": ABSENT}),
    ({"part": "2"}, {"part": "2"}),
    ({"parts": ABSENT}, {"parts": ABSENT}),
    ({"part": ABSENT, "label": ABSENT, "campaignTrackingId": ABSENT}, {"part": ABSENT, "label": ABSENT,
                                                                       "campaignTrackingId": ABSENT}),
    ({"campaignTrackingId": None}, {"campaignTrackingId": ABSENT}),
    ({"campaignTrackingId": ""}, {"campaignTrackingId": ABSENT}),
    ({"campaignName": ABSENT, "campaign": "Spring sale"}, SAME),
    ({"campaignName": None, "campaign": "Spring sale"}, SAME),
    ({"campaignName": ABSENT, "campaign": {"name": "Spring sale", "id": 5}}, SAME),
    ({"campaignName": ABSENT}, {"campaignName": ABSENT}),
    ({"campaignName": 5}, {"campaignName": ABSENT}),
    ({"campaign": "another"}, SAME),
    ({"label": None}, {"label": ABSENT}),
    ({"groups": None}, {"groups": ABSENT}),
    ({"groups": []}, {"groups": []}),
    ({"groups": "vip"}, {"groups": "vip"}),
    ({"country": None, "operator": None}, {"country": ABSENT, "operator": ABSENT}),
    ({"latency": 0}, {"latency": 0}),
    ({"latency": "3"}, {"latency": "3"}),
    ({"latency": None}, {"latency": ABSENT}),
    ({"price": 0}, {"price": 0}),
    ({"price": "0.0432"}, {"price": "0.0432"}),
    ({"price": None}, {"price": ABSENT}),
    ({"body": ABSENT}, {"message": ABSENT}),
    ({"body": None}, {"message": ABSENT}),
    ({"body": ""}, {"message": ""}),
    ({"body": ABSENT, "message": "Hello"}, SAME),
    ({"body": "Γειά 👋"}, {"message": "Γειά 👋"}),
    ({"direction": ABSENT}, {"direction": ABSENT}),
    ({"originatingService": "TwoStep", "body": "Your code is 1"}, {"originatingService": "TwoStep",
                                                                   "message": "Your code is 1"}),
    ({"unknown": {"deep": [1]}, "id": 5}, SAME),
    (status(reason=ABSENT), told(reason=ABSENT)),
    (status(reason=None), told(reason=ABSENT)),
    (status(reason={"detailedStatus": "Failed"}), told(reason={"detailedStatus": "Failed"})),
    (status(status="Queued"), told(name="Queued")),
    (status(status="delivered"), told(name="delivered")),
    (status(status="Buffered"), told(name="Buffered")),
    (status(date=ABSENT), told(updatedDate=ABSENT)),
    (status(date=None), told(updatedDate=ABSENT)),
    (status(date="2026-11-22T09:16:54.123+02:00"), told(updatedDate="2026-11-22T09:16:54.123+02:00")),
    (status(date=1795339014000), told(updatedDate=1795339014000)),
    (status(status=ABSENT, name="Sent"), told(name="Sent")),
    (status(date=ABSENT, updatedDate=DATE), SAME),
    ({"status": "Sent"}, {"status": {"name": "Sent"}}),
]  # fmt: skip
NONE_AT_ALL: Final[list[tuple[Any, str]]] = [
    (None, "no object"),
    ([], "no object"),
    ("text", "no object"),
    (TODAY | {"messageId": None}, "no messageId"),
    (TODAY | {"messageId": ""}, "no messageId"),
    (TODAY | {"messageId": "x" * 257}, "no messageId"),
    (TODAY | {"messageId": True}, "no messageId"),
    (TODAY | {"messageId": {}}, "no messageId"),
    (TODAY | {"status": None}, "no status"),
    (TODAY | {"status": {}}, "no status"),
    (TODAY | {"status": {"status": 5}}, "no status"),
    (TODAY | {"status": {"status": " "}}, "no status"),
    (TODAY | {"direction": "Inbound"}, "an inbound SMS"),
]


def test_the_table_has_sixty_shapes() -> None:
    """Each of them once."""
    shapes = [orjson.dumps(without_absent(TODAY | change), default=str) for change, _ in SHAPES]
    assert len(set(shapes)) == len(shapes)
    assert len(SHAPES) + len(NONE_AT_ALL) >= 60


@pytest.mark.parametrize(("change", "changed"), SHAPES)
def test_a_tracking_object_becomes_the_callback(change: Json, changed: Json) -> None:
    """Field by field; and streams reads it as a callback, also with odd fields."""
    found = tracked(without_absent(TODAY | change))
    assert not isinstance(found, str)
    assert orjson.loads(found.body) == without_absent(CALLBACK | changed)
    read = read_body(Raw(found.body), 1_800_000_000_000, Policy())
    assert isinstance(read, Callback)
    assert (read.message_id, read.date) == (found.message_id, found.date_ms)


@pytest.mark.parametrize(("shape", "why"), NONE_AT_ALL)
def test_a_shape_that_is_no_sms_says_why(shape: Any, why: str) -> None:  # noqa: ANN401
    """It costs nothing but itself."""
    assert tracked(shape) == why


def test_the_list_of_a_campaign_gives_its_id_to_objects_without_one() -> None:
    """An id of their own is stronger."""
    nameless = without_absent(TODAY | {"campaignTrackingId": ABSENT})
    for shape, campaign in ((nameless, "another"), (TODAY, C)):
        found = tracked(shape, "another")
        assert not isinstance(found, str)
        assert found.campaign_id == orjson.loads(found.body)["campaignTrackingId"] == campaign


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-22T09:16:54Z", 1795339014000), ("2026-11-22T11:16:54.5+02:00", 1795339014500),
        ("2026-11-22 09:16:54 UTC", 1795339014000), ("1795339014", 1795339014000), ("2026-11-22T09:16:54", 0),
        (1795339014000, 1795339014000), (1795339014, 1795339014000), ("soon", 0), (None, 0), (True, 0),
    ],
)  # fmt: skip
def test_dates(text: object, ms: int) -> None:
    """A date that streams cannot read is none, also one without a zone."""
    assert date_ms(text) == ms


@pytest.mark.parametrize(
    ("given", "part"), [*product((2, "2", 2.0, "2.0", " 2 "), (2,)), *product((0, -2, 256, "2/2", None, True), (None,))]
)
def test_a_part_is_read_as_streams_reads_it(given: object, part: int | None) -> None:
    """Else it would be another SMS than the known one, which is news in every round, or no news at all."""
    found = tracked(TODAY | {"part": given})
    assert not isinstance(found, str)
    assert found.part == part
    read = read_body(Raw(found.body), 1_800_000_000_000, Policy())
    assert isinstance(read, Callback)
    assert read.details.part == part


def test_how_far_a_status_is() -> None:
    """A word that nothing is known of is beside Sent."""
    assert [rank(word) for word in ("Queued", "Sent", "Buffered", "Delivered", " unsent ")] == [0, 1, 1, 2, 2]


DETAILS: Final[Json] = {
    "trackingId": C, "type": "Sms", "state": "Finished", "campaignName": "Spring sale", "totalMessages": 3,
    "statuses": {"Delivered": 2, "Failed": 1, "Queued": 0}, "smsAnalysis": {"numberOfRecipients": 3}, "body": "Hello",
}  # fmt: skip


def test_details_of_a_campaign_become_its_report() -> None:
    """The form of Case 1, without the text of the campaign."""
    found = report(DETAILS)
    assert not isinstance(found, str)
    assert (found.status, found.counts) == ("Finished", {"Delivered": 2, "Failed": 1})
    assert orjson.loads(found.body) == {
        "trackingId": C, "name": "Spring sale", "totalRecipients": 3, "campaignStatus": "Finished",
        "messageStatuses": {"Delivered": 2, "Failed": 1, "Queued": 0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "why"),
    [(None, "no object"), ({}, "no trackingId"), (DETAILS | {"type": "Email"}, "no campaign of SMS")],
)
def test_details_that_are_none(shape: Any, why: str) -> None:  # noqa: ANN401
    """The same path tells of campaigns of e-mail."""
    assert report(shape) == why


@pytest.mark.parametrize("no_id", ["null", "0", 0, "-", NIL_ID])
def test_an_object_of_no_message_and_details_of_no_campaign_are_told_as_such(no_id: object) -> None:
    assert tracked(TODAY | {"messageId": no_id}) == "no messageId"
    assert report({"trackingId": no_id, "state": "Running", "statuses": {"Sent": 1}}) == "no trackingId"


@pytest.mark.parametrize("no_id", ["null", "0", 0, "-", NIL_ID])
def test_an_id_that_stands_for_none_is_none_and_hides_no_campaign(no_id: object) -> None:
    found = tracked({"messageId": "m", "status": "Sent", "smsId": no_id, "campaignTrackingId": no_id, "part": 2}, C)
    assert not isinstance(found, str)
    assert (found.sms_id, found.part, found.campaign_id) == (None, 2, C)
    body = orjson.loads(found.body)
    assert "smsId" not in body
    assert body["campaignTrackingId"] == C


@pytest.mark.parametrize("number", [2, 2.0, "2", " 2 ", "2.0", "2.", "+2", "2e0", "02", ".2e1", "2.00000000000000001"])
def test_a_number_in_another_form_is_no_news(number: object) -> None:
    """Of a report that is not told by its form alone, each round would write one more."""
    found = report(DETAILS | {"statuses": {"Delivered": number, "Sent": 0.0, "Failed": 1.5, "Queued": "many"}})
    assert not isinstance(found, str)
    assert found.counts == {"Delivered": 2}


_NUMBERS: Final = st.from_regex(r"\s?[+-]?(\d{0,20}\.?\d{0,20})([eE][+-]?\d{1,3})?\s?", fullmatch=True)


@given(st.one_of(_NUMBERS, st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.just([2])))
@example("+3")
@example(2**53)
@example(2**53 + 1)
@example("1e400")
def test_a_count_is_read_as_streams_reads_it(value: object) -> None:
    """Else a report would be news in every round, or never."""
    assert _whole(value) == (coercion.count(value, "", []) or 0)


def test_details_with_less_in_them() -> None:
    """Without the analysis the number of messages counts."""
    found = report({"trackingId": C, "totalMessages": 3, "statuses": {"Delivered": "2", "Failed": -1, "Sent": 1}})
    assert not isinstance(found, str)
    counts = {"Delivered": "2", "Failed": -1, "Sent": 1}
    assert orjson.loads(found.body) == {"trackingId": C, "totalRecipients": 3, "messageStatuses": counts}
    assert found.counts == {"Delivered": 2, "Sent": 1}


@pytest.mark.parametrize(
    "statuses", [{"Delivered": "2"}, {"Delivered": "2", "Failed": -1}, {"Delivered": 2.0}, {}, None]
)
def test_pulled_counts_are_read_by_the_rule_of_posted_ones(statuses: Any) -> None:  # noqa: ANN401
    """A number of finals that is left out would hide that all of these are lost."""
    found = report(DETAILS | {"statuses": statuses})
    assert not isinstance(found, str)
    pulled = read_report(orjson.loads(found.body), Policy())
    posted = read_report(campaign_report(counts=statuses or {}), Policy())
    assert isinstance(pulled, Read)
    assert isinstance(posted, Read)
    assert pulled.report["counts"] == posted.report["counts"]
