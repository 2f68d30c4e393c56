"""A comparison with a Kafka Streams job stands only where both tell the same, and says so when it cannot be made."""

from dataclasses import replace

import orjson
import pytest

from sandbox.jars import KAFKA_VERSION, locked_jars
from streams.contract.records import CampaignProgress, SmsStatus
from tests.bench import kafka_streams
from tests.bench import streams as streams_bench
from tests.bench.kafka_streams import DifferentError, Outputs, differences, require_equal
from tests.support.markdown import ROOT

RECORDS = ROOT / "streams/contract/examples/records"


def outputs() -> Outputs:
    """Return the records of an SMS and a campaign."""
    sms = orjson.loads((RECORDS / "sms.status.json").read_bytes())[0]
    campaign = orjson.loads((RECORDS / "campaign.progress.json").read_bytes())[1]
    return Outputs({b"sms": orjson.dumps(sms)}, {b"campaign": orjson.dumps(campaign)})


def changed(value: bytes, **fields: object) -> bytes:
    return orjson.dumps(orjson.loads(value) | fields)


def without(value: bytes, *fields: str) -> bytes:
    return orjson.dumps({name: one for name, one in orjson.loads(value).items() if name not in fields})


def test_equal_outputs_have_no_difference_also_without_the_fields_that_the_job_leaves_out() -> None:
    ours = outputs()
    less = without(ours.statuses[b"sms"], *kafka_streams.NOT_COMPARED)
    assert list(differences(ours, ours)) == []
    require_equal(ours, replace(ours, statuses={b"sms": less}))


def test_a_differing_field_of_an_sms_is_named_without_its_value() -> None:
    ours = outputs()
    theirs = replace(ours, statuses={b"sms": changed(ours.statuses[b"sms"], status="Failed", recipient="+30699")})
    assert list(differences(ours, theirs)) == ["SMS sms: recipient, status"]
    with pytest.raises(DifferentError, match="1 differences"):
        require_equal(ours, theirs)


@pytest.mark.parametrize("field", sorted(SmsStatus.model_fields.keys() - kafka_streams.NOT_COMPARED))
def test_each_compared_field_of_an_sms_must_be_there(field: str) -> None:
    ours = outputs()
    theirs = replace(ours, statuses={b"sms": without(ours.statuses[b"sms"], field)})
    assert list(differences(ours, theirs)) == [f"SMS sms: {field}"]


def test_an_sms_or_a_campaign_of_one_alone_is_a_difference() -> None:
    ours = outputs()
    assert list(differences(ours, replace(ours, statuses={}))) == ["SMS sms of one alone"]
    assert list(differences(replace(ours, campaigns={}), ours)) == ["campaign campaign of one alone"]


def test_other_counts_of_a_campaign_and_other_numbers_of_refused_callbacks_are_differences() -> None:
    ours = outputs()
    campaigns = {b"campaign": changed(ours.campaigns[b"campaign"], parts=3)}
    theirs = replace(ours, campaigns=campaigns, refused=2)
    assert list(differences(ours, theirs)) == ["0 and 2 refused callbacks", "campaign campaign: parts"]


def test_the_names_of_fields_are_those_of_the_contract() -> None:
    assert SmsStatus.model_fields.keys() > kafka_streams.NOT_COMPARED
    assert CampaignProgress.model_fields.keys() > {*kafka_streams.OF_CAMPAIGNS}


def test_a_machine_without_a_compiler_is_told_that_it_needs_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a Kafka nor a download is needed to say it."""
    monkeypatch.setenv("PATH", "")
    streams_bench.PARTS["kafka-streams"](None, None)  # type: ignore[arg-type]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("left out: ")
    assert "javac" in line


def test_the_job_has_the_clients_of_the_broker() -> None:
    theirs = {jar.coordinates: jar.sha256 for jar in locked_jars(kafka_streams.JARS)}
    assert f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}" in theirs
    clients = f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}"
    assert theirs[clients] == {jar.coordinates: jar.sha256 for jar in locked_jars()}[clients]
