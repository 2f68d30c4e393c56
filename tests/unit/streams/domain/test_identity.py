"""
Identity: which callbacks belong to the same SMS, and to the same message.
"""

from typing import Any

import pytest

from streams.contract.keys import NIL_ID
from tests.builders import ABSENT, MESSAGE_ID, SMS_ID, campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

T1, T2 = "2026-11-22T09:16:54Z", "2026-11-22T09:16:55Z"


def test_without_sms_id_the_key_is_message_and_part() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(sms_id=ABSENT, part=2, parts=2), sms_callback(sms_id="", part=ABSENT, parts=2))
    assert [r["sms_key"] for r in pipeline.revisions] == [f"{MESSAGE_ID}#2", f"{MESSAGE_ID}#1"]


def test_an_sms_id_that_comes_later_joins_the_part_and_keeps_the_key() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Queued", T1, sms_id=ABSENT), sms_callback("Sent", T2))
    assert (pipeline.sms()["sms_key"], pipeline.sms()["sms_id"]) == (f"{MESSAGE_ID}#1", SMS_ID)
    assert pipeline.sms()["revision"] == 2


def test_a_callback_without_sms_id_finds_its_part() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, part=1, parts=2), sms_callback("Sent", T1, sms_id="other", part=2, parts=2))
    pipeline.send(sms_callback("Delivered", T2, sms_id=ABSENT, part=2, parts=2))
    assert [(s["sms_key"], s["status"]) for s in pipeline.message()["sms"]] == [
        (SMS_ID, "Sent"),
        ("other", "Delivered"),
    ]


def test_ids_are_the_same_in_any_case_and_shown_as_received() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1))
    pipeline.send(sms_callback("Delivered", T2, message_id=MESSAGE_ID.upper(), sms_id=SMS_ID.upper()))
    sms = pipeline.sms()
    assert (sms["message_id"], sms["sms_key"], sms["revision"]) == (MESSAGE_ID, SMS_ID, 2)
    assert sms["sms_id"] == SMS_ID.upper()


def test_a_part_number_may_change_and_pass_the_number_of_parts() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, part=1, parts=1), sms_callback("Delivered", T2, part=3, parts=2))
    assert (pipeline.sms()["part"], pipeline.sms()["parts"]) == (3, 2)


_LONG = "x" * 257


@pytest.mark.parametrize(
    "fields",
    [
        *(
            {"sms_id": ABSENT, "part": part, "parts": 2}
            for part in (0, -1, 300, 1.5, "2/2", "two", True, [2], {"n": 2})
        ),
        *({"sms_id": sms_id, "part": ABSENT, "parts": "3"} for sms_id in (_LONG, True, ["a"], {"id": "a"}, 1e300)),
        {"sms_id": _LONG, "part": 0, "parts": 2},
        {"sms_id": ABSENT, "part": "2/2", "parts": ABSENT},
        {"sms_id": ABSENT, "part": "2/2", "parts": 0},
        {"sms_id": "null", "part": "2/2", "parts": "null"},
        {"sms_id": "null", "part": "null", "parts": 2},
    ],
)
def test_a_callback_that_hides_which_part_it_is_about_is_refused(fields: dict[str, Any]) -> None:
    """It would give the first part the status of another one."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, part=1, parts=2), sms_callback("Undelivered", T2, **fields))
    assert pipeline.sms()["status"] == "Sent"
    (refused,) = pipeline.rejections
    assert refused["reason"] == "invalid-field"
    assert refused["detail"] == "part: expected a whole number from 1 to 255, or smsId: the message has several"


@pytest.mark.parametrize(
    "fields",
    [
        {"sms_id": ABSENT, "part": "one", "parts": 1},
        {"sms_id": _LONG, "part": ABSENT, "parts": 1},
        {"sms_id": _LONG, "part": ABSENT, "parts": ABSENT},
        {"sms_id": ABSENT, "part": 0, "parts": 0},
        {"sms_id": ABSENT, "part": "0", "parts": ABSENT},
        *({"sms_id": no_id, "part": no_id, "parts": no_id} for no_id in ("null", "undefined", "N/A", "-", " ", " 0")),
        {"sms_id": ABSENT, "part": ABSENT, "parts": 2},
        {"sms_id": _LONG, "part": 1, "parts": 2},
        {"part": "2/2", "parts": 2},
    ],
)
def test_a_callback_of_the_only_part_or_of_one_named_otherwise_is_taken(fields: dict[str, Any]) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, parts=fields["parts"]), sms_callback("Delivered", T2, **fields))
    assert (pipeline.sms()["status"], pipeline.rejections) == ("Delivered", [])


_NO_IDS = [
    "",
    " ",
    "null",
    "NULL",
    "None",
    "nil",
    "undefined",
    " n/a ",
    "(null)",
    "NaN",
    "-",
    "0",
    0,
    0.0,
    "\t",
    NIL_ID,
]


@pytest.mark.parametrize("no_id", _NO_IDS)
def test_a_text_that_stands_for_no_sms_id_names_none(no_id: object) -> None:
    """All SMS that have it would be one, in the state, on the topic and in every store."""
    pipeline = Pipeline()
    for message_id in ("m1", "m2"):
        pipeline.send(
            sms_callback("Delivered", T1, message_id=message_id, sms_id=no_id, part=1, parts=2),
            sms_callback("Failed", T2, message_id=message_id, sms_id=no_id, part=2, parts=2),
        )
    assert [(record["sms_key"], record["sms_id"], record["status"]) for record in pipeline.revisions] == [
        (f"{message_id}#{part}", None, status)
        for message_id in ("m1", "m2")
        for part, status in ((1, "Delivered"), (2, "Failed"))
    ]


@pytest.mark.parametrize("no_id", _NO_IDS)
def test_a_text_that_stands_for_no_campaign_makes_none(no_id: object) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(campaign=no_id))
    assert (pipeline.sms()["campaign_tracking_id"], pipeline.settle()) == (None, [])


@pytest.mark.parametrize("no_id", _NO_IDS)
def test_a_text_that_stands_for_no_message_names_none(no_id: object) -> None:
    """All SMS that have it would be parts of one message, whose 256th is refused."""
    pipeline = Pipeline()
    pipeline.send(*(sms_callback(message_id=no_id, sms_id=f"{SMS_ID}{n}") for n in range(3)))
    pipeline.send(sms_callback(message_id=no_id) | {"unknown": 1})
    assert pipeline.revisions == []
    assert {rejection["reason"] for rejection in pipeline.rejections} <= {"invalid-field", "unknown-shape"}
    assert len(pipeline.rejections) == 4


@pytest.mark.parametrize("others", [{}, {"status": None}, {"status": {"name": "Sent"}, "smsId": None}])
@pytest.mark.parametrize("no_id", _NO_IDS)
def test_a_text_that_stands_for_no_message_costs_no_report(no_id: object, others: dict[str, Any]) -> None:
    """A sender that writes the fields of all kinds has something in those of the others."""
    pipeline = Pipeline()
    pipeline.send(campaign_report("Finished", {"Delivered": 100}) | {"messageId": no_id, **others})
    assert pipeline.campaign()["reported_by_status"] == {"Delivered": 100}


@pytest.mark.parametrize("no_id", _NO_IDS)
def test_a_report_of_no_campaign_is_refused(no_id: object) -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report(campaign=no_id))
    assert (len(pipeline.rejections), pipeline.settle()) == (1, [])


@pytest.mark.parametrize("short", ["1", "nul", "00", "--", "none1", "0" * 36])
def test_an_id_may_be_short(short: str) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id=short, sms_id=short, campaign=short))
    sms = pipeline.sms(short)
    assert (sms["message_id"], sms["sms_id"], sms["campaign_tracking_id"]) == (short, short, short)


@pytest.mark.parametrize(("one", "same"), [(5, 5.0), ("5", 5.0), (-1.0, -1), (2.5, "2.5")])
def test_a_whole_number_is_one_id_with_and_without_a_point(one: object, same: object) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, sms_id=one, part=2, parts=2), sms_callback("Delivered", T2, sms_id=same))
    assert [sms["sms_key"] for sms in pipeline.message()["sms"]] == [str(one).removesuffix(".0")]


def test_more_parts_than_an_sms_can_have_are_refused() -> None:
    pipeline = Pipeline()
    pipeline.send(*(sms_callback(sms_id=f"s{n}", part=n) for n in range(1, 258)))
    assert pipeline.tally()["rejected"] == {"invalid-field": 2}
    assert len(pipeline.message()["sms"]) == 255
