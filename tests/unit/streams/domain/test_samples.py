"""
Every sample of Routee's bodies goes through both stages.
"""

from pathlib import Path

import pytest

from tests.builders import NOW
from tests.unit.streams.domain.pipeline import Pipeline

SAMPLES = Path(__file__).parents[3] / "samples"
RECEIVED = {"captured": None, "documented": NOW}


def taken(name: str) -> Pipeline:
    """Return the pipeline after one sample, taken byte for byte and received about a minute after it was made."""
    body = (SAMPLES / name).read_bytes()
    received = next(
        (
            at
            for mark, at in (("2016", "2016-09-19T09:17:00.000Z"), ("2019", "2019-07-05T10:29:00.000Z"))
            if mark in name
        ),
        NOW,
    )
    pipeline = Pipeline()
    pipeline.take_in(0, 0, b'{"received_at":"%b","callbacks":[%b]}' % (received.encode(), body))
    pipeline.settle()
    return pipeline


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.json")))
def test_every_sample_gets_the_verdict_of_its_kind(name: str) -> None:
    pipeline = taken(name)
    kind = {"case1": "report", "other": "rejected"}.get(name.split("-", maxsplit=1)[0], "applied")
    assert pipeline.verdicts == {kind: 1}
    assert pipeline.tally()["notes"] == {}
    if kind == "rejected":
        assert [r["reason"] for r in pipeline.rejections] == ["unknown-shape"]
    elif kind == "report":
        assert len(pipeline.of("campaign.progress")) == 1
    else:
        assert len(pipeline.revisions) == 1


def test_the_captured_callback_of_2016_lacks_fields_that_the_documents_promise() -> None:
    (record,) = taken("sms-2016-queued.captured.json").revisions
    assert record["sms_key"] == "9571ef84-6e34-4601-ba3c-7a5748bc8e7f#1"
    assert (record["status"], record["queued_at"], record["price"]) == (
        "Queued",
        "2016-09-19T09:16:54.000Z",
        "0.00600000",
    )
    missing = ("sms_id", "part", "label", "detailed_status", "status_description")
    assert [record[name] for name in missing] == [None] * 5


def test_the_garbled_report_is_counted() -> None:
    (progress,) = taken("case1-garbled.documented.json").of("campaign.progress")
    assert (progress["reported_by_status"], progress["total_recipients"]) == ({"Delivered": 38, "Queued": 62}, 100)
