"""
Identity: which callbacks belong to the same SMS, and to the same message.
"""

from tests.builders import ABSENT, MESSAGE_ID, SMS_ID, sms_callback
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


def test_more_parts_than_an_sms_can_have_are_refused() -> None:
    pipeline = Pipeline()
    pipeline.send(*(sms_callback(sms_id=f"s{n}", part=n) for n in range(1, 258)))
    assert pipeline.tally()["rejected"] == {"invalid-field": 2}
    assert len(pipeline.message()["sms"]) == 255
