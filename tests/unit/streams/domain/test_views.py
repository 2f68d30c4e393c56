import pytest

from streams.contract.codec import format_time_ms
from streams.domain.policy import Policy
from streams.domain.views import campaign_key, campaign_view, find_sms, message_key, message_view
from tests.builders import ABSENT, CAMPAIGN_ID, MESSAGE_ID, NOW, campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline, now


def test_keys_are_the_same_in_any_case() -> None:
    assert message_key(MESSAGE_ID.upper()) == message_key(MESSAGE_ID)
    assert campaign_key(CAMPAIGN_ID.upper()) == campaign_key(CAMPAIGN_ID)


def test_the_view_of_a_message_has_the_last_record_of_each_sms() -> None:
    pipeline = Pipeline()
    for part in (1, 2):
        pipeline.send(sms_callback("Sent", sms_id=f"s{part}", part=part, parts=2))
    pipeline.send(sms_callback("Delivered", sms_id="s1", part=1, parts=2))
    rows = pipeline.sms_rows[0].reloaded()
    view = message_view(rows, message_key(MESSAGE_ID))
    assert view is not None
    assert view["sms"] == [now(pipeline.revisions[at], pipeline.revisions) for at in (2, 1)]


def test_a_value_that_no_part_has_is_null() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(latency=ABSENT, price=ABSENT, campaign=ABSENT))
    view = pipeline.message()
    assert (view["latency_seconds"], view["price"], view["campaign_tracking_id"]) == (None, None, None)


def test_the_view_of_a_campaign_is_its_last_progress_record() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(), campaign_report())
    (progress,) = pipeline.settle()
    assert campaign_view(pipeline.campaign_rows.reloaded(), campaign_key(CAMPAIGN_ID)) == progress


@pytest.mark.parametrize(
    ("sms_id", "part", "key", "rows"),
    [
        ("s-1", 1, "s-1", 1),
        ("M-1", 1, "m-1", 0),
        (ABSENT, 2, "m-1#2", 0),
        ("other#2", 2, "OTHER#2", 1),
    ],
)
def test_an_sms_is_found_by_its_key_alone_and_has_an_index_row_only_where_the_key_does_not_tell(
    sms_id: object, part: int, key: str, rows: int
) -> None:
    pipeline = Pipeline()
    for status in ("Queued", "Delivered"):
        pipeline.send(sms_callback(status, message_id="m-1", sms_id=sms_id, part=part, parts=2))
    pipeline.send(sms_callback(message_id="another", sms_id="s-9"))
    found = find_sms(pipeline.sms_rows[0], key)
    assert found == pipeline.revisions[1]
    assert len(pipeline.sms_rows[0].with_prefix(b"s:")) == rows + 1


def test_each_part_of_a_message_is_found_by_its_key() -> None:
    pipeline = Pipeline()
    for part in (1, 2, 3):
        pipeline.send(sms_callback(message_id="m-1", sms_id=f"s-{part}", part=part, parts=3))
    expected = [now(record, pipeline.revisions) for record in pipeline.revisions]
    assert [find_sms(pipeline.sms_rows[0], f"s-{part}") for part in (1, 2, 3)] == expected


def test_an_sms_is_still_found_when_another_message_that_had_its_key_is_forgotten() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    hours = {"m-1": 0, "m-2": 40, "m-3": 50}
    for message, hour in hours.items():
        at = format_time_ms(1_795_349_000_000 + hour * 3_600_000)
        sms_id = "s-3" if message == "m-3" else "s-1"
        pipeline.send(sms_callback(at=at, message_id=message, sms_id=sms_id), received_at=at)
    assert set(pipeline.sms_rows[0].with_prefix(b"m:")) == {b"m:m-2", b"m:m-3"}
    assert find_sms(pipeline.sms_rows[0], "s-1") == pipeline.revisions[1]


def test_an_unknown_sms_is_not_found() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id="m-1", sms_id="s-1"))
    for key in ("m-1", "m-1#1", "m-1#", "s-2", "#", ""):
        assert find_sms(pipeline.sms_rows[0], key) is None


def test_an_sms_that_learns_its_sms_id_keeps_its_key() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Queued", message_id="m-1", sms_id=ABSENT))
    (record,) = pipeline.send(sms_callback("Delivered", message_id="m-1", sms_id="s-1"))
    assert find_sms(pipeline.sms_rows[0], "m-1#1") == record


def test_a_forgotten_message_leaves_no_row_in_the_index() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback(at=NOW, message_id="m-1", sms_id="s-1"))
    pipeline.send(sms_callback(at=NOW, message_id="m-2", sms_id="s-1"))
    later = format_time_ms(1_795_349_000_000 + 50 * 3_600_000)
    pipeline.send(sms_callback(at=later, message_id="m-3", sms_id="s-3"), received_at=later)
    assert set(pipeline.sms_rows[0].with_prefix(b"m:")) == {b"m:m-3"}
    assert set(pipeline.sms_rows[0].with_prefix(b"s:")) == {b"s:s-3"}
