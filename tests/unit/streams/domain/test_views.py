from streams.domain.views import campaign_key, campaign_view, message_key, message_view
from tests.builders import ABSENT, CAMPAIGN_ID, MESSAGE_ID, campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline


def test_keys_are_the_same_in_any_case() -> None:
    assert message_key(MESSAGE_ID.upper()) == message_key(MESSAGE_ID)
    assert campaign_key(CAMPAIGN_ID.upper()) == campaign_key(CAMPAIGN_ID)


def test_the_view_of_a_message_has_the_last_record_of_each_sms() -> None:
    pipeline = Pipeline()
    for part in (1, 2):
        pipeline.send(sms_callback("Sent", sms_id=f"s{part}", part=part, parts=2))
    pipeline.send(sms_callback("Delivered", sms_id="s1", part=1, parts=2))
    rows = pipeline.sms_rows[0].reloaded()
    view = message_view(rows.get(message_key(MESSAGE_ID)))
    assert view["sms"] == [pipeline.revisions[2], pipeline.revisions[1]]


def test_what_no_part_has_is_null() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(latency=ABSENT, price=ABSENT, campaign=ABSENT))
    view = pipeline.message()
    assert (view["latency_seconds"], view["price"], view["campaign_tracking_id"]) == (None, None, None)


def test_the_view_of_a_campaign_is_its_last_progress_record() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(), campaign_report())
    (progress,) = pipeline.settle()
    assert campaign_view(pipeline.campaign_rows.reloaded().get(campaign_key(CAMPAIGN_ID))) == progress
