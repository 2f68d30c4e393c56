"""The gate refuses each change of the contract that breaks a reader, and no other."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.contract import documents
from tests.support import compatibility
from tests.support.compatibility import topic_changes

Tree = dict[str, Any]
ASYNCAPI: Tree = yaml.safe_load(documents.checked_in()["asyncapi.yaml"])
Edit = Callable[[Tree], object]


def schema(document: Tree, name: str = "SmsStatus") -> Tree:
    found: Tree = document["components"]["schemas"][name]
    return found


def fields(document: Tree, name: str = "SmsStatus") -> Tree:
    found: Tree = schema(document, name)["properties"]
    return found


def kafka(document: Tree, topic: str = "sms.status") -> Tree:
    found: Tree = document["channels"][topic]["bindings"]["kafka"]
    return found


def message(document: Tree, topic: str = "sms.status") -> Tree:
    found: Tree = document["components"]["messages"][topic]
    return found


def settings(document: Tree, topic: str = "sms.status") -> Tree:
    found: Tree = kafka(document, topic)["topicConfiguration"]
    return found


def rename(of: Tree, old: str, new: str) -> Tree:
    of[new] = of.pop(old)
    return of


def headers(document: Tree) -> Tree:
    found: Tree = message(document)["headers"]
    return found


BREAKING: Mapping[str, Edit] = {
    "a field is gone": lambda d: fields(d).pop("country"),
    "a field that may be null is gone": lambda d: fields(d).pop("label"),
    "a field that may be missing is gone": lambda d: fields(d, "Envelope").pop("repaired"),
    "a field has another name": lambda d: rename(fields(d), "recipient", "to"),
    "a field has another case": lambda d: rename(fields(d), "sms_id", "smsId"),
    "a field within a list is gone": lambda d: fields(d, "RepairedCallback").pop("original"),
    "a field may be missing": lambda d: schema(d)["required"].remove("revision"),
    "a field within a list may be missing": lambda d: schema(d, "RepairedCallback")["required"].remove("index"),
    "all fields may be missing": lambda d: schema(d, "Rejection").pop("required"),
    "a text is a number": lambda d: fields(d)["message_id"].update(type="integer"),
    "a number is a text": lambda d: fields(d)["revision"].update(type="string"),
    "a whole number is any number": lambda d: fields(d)["conflicts"].update(type="number"),
    "a flag is a number": lambda d: fields(d)["is_final"].update(type="integer"),
    "a text may be null": lambda d: fields(d).update(status={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "a text may be a number": lambda d: fields(d)["sms_key"].update(type=["string", "integer"]),
    "a field is always null": lambda d: fields(d).update(operator={"type": "null"}),
    "a field may be anything": lambda d: fields(d).update(sms_key={}),
    "a list is a text": lambda d: fields(d).update(groups={"type": "string"}),
    "a list has other things": lambda d: fields(d)["groups"].update(items={"type": "integer"}),
    "a list has anything": lambda d: fields(d)["groups"].pop("items"),
    "counts are texts": lambda d: fields(d, "CampaignProgress")["parts_by_status"].update(
        additionalProperties={"type": "string"}
    ),
    "counts may be negative": lambda d: fields(d, "CampaignProgress")["messages_by_status"].update(
        additionalProperties={"type": "integer"}
    ),
    "counts are anything": lambda d: fields(d, "CampaignProgress")["drift"].pop("additionalProperties"),
    "a list may be empty": lambda d: fields(d, "Envelope")["callbacks"].pop("minItems"),
    "a number may be lower": lambda d: fields(d)["revision"].update(minimum=0),
    "a number may be negative": lambda d: fields(d)["conflicts"].pop("minimum"),
    "a share is of a hundred": lambda d: fields(d, "CampaignProgress")["progress"]["anyOf"][0].update(maximum=100),
    "a time has another form": lambda d: fields(d)["received_at"].update(pattern=r"^\d{13}$"),
    "an amount has any form": lambda d: fields(d, "CampaignProgress")["price_total"].pop("pattern"),
    "a missing field means something else": lambda d: fields(d, "Envelope")["repaired"].update(default=None),
    "a word is new": lambda d: schema(d, "Reason")["enum"].append("too-old"),
    "a word is gone": lambda d: schema(d, "RefusedBy")["enum"].remove("streams"),
    "a word is spelt otherwise": lambda d: schema(d, "Unit").update(enum=["message", "part"]),
    "a word may be any": lambda d: schema(d, "Reconciliation").pop("enum"),
    "a topic is gone": lambda d: d["channels"].pop("callbacks.rejected"),
    "a topic has another name": lambda d: d["channels"]["sms.status"].update(address="routee.sms.states"),
    "a topic has other records": lambda d: rename(d["channels"]["sms.status"]["messages"], "sms.status", "sms.state"),
    "the key is another field": lambda d: message(d)["bindings"]["kafka"]["key"].update(description="`message_id`"),
    "the key is a number": lambda d: message(d)["bindings"]["kafka"]["key"].update(type="integer"),
    "the key is gone": lambda d: message(d)["bindings"]["kafka"].update(key={"type": "null", "description": "none"}),
    "records lie in another partition": lambda d: kafka(d).update({"x-partition": "murmur2 of the key"}),
    "there are more partitions": lambda d: kafka(d).update(partitions=16),
    "records of a compacted topic are deleted": lambda d: settings(d).update({"cleanup.policy": ["delete"]}),
    "the latest records go sooner": lambda d: settings(d).update({"retention.ms": 86_400_000}),
    "all changes of a key are kept for less time": lambda d: settings(d).pop("min.compaction.lag.ms"),
    "records are kept for less time": lambda d: settings(d, "callbacks.raw").update({"retention.ms": 86_400_000}),
    "records are deleted by their size": lambda d: settings(d, "callbacks.raw").update({"retention.bytes": 1 << 30}),
    "an election may take records back": lambda d: settings(d).update({"unclean.leader.election.enable": True}),
    "the writer's clock dates records": lambda d: settings(d).update({"message.timestamp.type": "CreateTime"}),
    "values are in another encoding": lambda d: message(d).update(contentType="application/avro"),
    "a topic has records of a second form": lambda d: d["channels"]["sms.status"]["messages"].update(
        gone={"$ref": "#/components/messages/erasures"}
    ),
    "a record may be null": lambda d: message(d).update(payload={"anyOf": [message(d)["payload"], {"type": "null"}]}),
    "the key may be null": lambda d: message(d)["bindings"]["kafka"]["key"].update(type=["string", "null"]),
    "the schema has another version": lambda d: message(d).update({"x-schema": "sms.status/2"}),
    "a header is gone": lambda d: headers(d)["properties"].pop("campaign"),
    "all headers are gone": lambda d: message(d).pop("headers"),
    "a header may be missing": lambda d: headers(d).update(required=[]),
    "a header is a number": lambda d: headers(d)["properties"]["campaign"].update(type="integer"),
    "a header has another word": lambda d: headers(d)["properties"]["type"].update(const="sms"),
}
HARMLESS: Mapping[str, Edit] = {
    "nothing": lambda d: d,
    "a field more": lambda d: fields(d).update(cost_center={"type": "string"}),
    "a field more that may be null": lambda d: fields(d).update(x={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "a field more that is always there": lambda d: (
        fields(d).update(cost_center={"type": "integer"}),
        schema(d)["required"].append("cost_center"),
    ),
    "a field more within a list": lambda d: fields(d, "RepairedCallback").update(size={"type": "integer"}),
    "a field that may be missing is always there": lambda d: schema(d, "Envelope")["required"].append("repaired"),
    "a field is never null": lambda d: fields(d).update(country={"type": "string"}),
    "a number is a whole one": lambda d: fields(d)["latency_seconds"]["anyOf"][0].update(type="integer"),
    "a number has narrower bounds": lambda d: fields(d)["revision"].update(minimum=2, maximum=2**53),
    "a text has a form": lambda d: fields(d)["message_id"].update(pattern="^[^#]+$"),
    "a text has one of some words": lambda d: fields(d)["status"].update(enum=["Sent", "Delivered"]),
    "a list is never empty": lambda d: fields(d)["groups"].update(minItems=1),
    "a description says more": lambda d: fields(d)["status"].update(description="Routee's word, as it came"),
    "a title is another": lambda d: schema(d).update(title="Status"),
    "other examples": lambda d: message(d).update(examples=[]),
    "a field is discouraged": lambda d: fields(d)["label"].update(deprecated=True),
    "fields stand in another order": lambda d: schema(d).update(properties=dict(reversed(fields(d).items()))),
    "a type has another name": lambda d: (
        rename(d["components"]["schemas"], "Unit", "CountedUnit"),
        fields(d, "CampaignProgress").update(
            reconciliation_unit={"anyOf": [{"$ref": "#/components/schemas/CountedUnit"}, {"type": "null"}]}
        ),
    ),
    "the types of a field are listed": lambda d: fields(d).update(country={"type": ["string", "null"]}),
    "a type is wrapped": lambda d: fields(d).update(source={"allOf": [fields(d)["source"]]}),
    "the rules of deletion stand in another order": lambda d: settings(d)["cleanup.policy"].reverse(),
    "a topic more": lambda d: d["channels"].update(more=d["channels"]["sms.status"]),
    "a header more": lambda d: headers(d)["properties"].update(source={"type": "string"}),
    "records are kept for longer": lambda d: settings(d, "callbacks.raw").update({"retention.ms": -1}),
    "all changes of a key are kept for longer": lambda d: settings(d).update({"min.compaction.lag.ms": 172_800_000}),
    "segments are closed more often": lambda d: settings(d, "callbacks.raw").update({"segment.ms": 3_600_000}),
    "records may be longer": lambda d: settings(d).update({"max.message.bytes": 2_000_000}),
    "a setting more": lambda d: settings(d).update({"min.insync.replicas": 2}),
}


def edited(edit: Edit, document: Tree = ASYNCAPI) -> Tree:
    changed = copy.deepcopy(document)
    edit(changed)
    return changed


def test_the_gate_is_tried_with_forty_breaks_and_twenty_harmless_changes() -> None:
    assert len(BREAKING) >= 40
    assert len(HARMLESS) >= 20


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_a_reader_is_refused(name: str) -> None:
    found = list(topic_changes(ASYNCAPI, edited(BREAKING[name])))
    assert found != []
    for change in found:
        topic, _, rest = str(change).partition(":")
        assert topic in ASYNCAPI["channels"]
        assert rest
        assert change.advice


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_no_reader_passes(name: str) -> None:
    assert list(topic_changes(ASYNCAPI, edited(HARMLESS[name]))) == []


def test_a_refusal_names_the_place_the_harm_and_the_way_out() -> None:
    (change,) = topic_changes(ASYNCAPI, edited(BREAKING["a field has another name"]))
    assert str(change) == (
        "sms.status: recipient: is gone (to looks like its new name): keep it; a better name is a new field beside it"
    )


def test_all_breaks_are_told_at_once() -> None:
    def both(document: Tree) -> None:
        fields(document).pop("country")
        settings(document)["cleanup.policy"] = ["delete"]

    assert len(list(topic_changes(ASYNCAPI, edited(both)))) == 2


def test_the_contract_breaks_no_reader_of_the_last_release() -> None:
    """`make check` runs the same; a break that is wanted stands in `accepted.yaml`."""
    assert compatibility.main() == 0


def test_a_break_of_the_last_release_ends_the_gate_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = yaml.safe_dump(edited(lambda d: fields(d).pop("country"))).encode()
    monkeypatch.setattr(compatibility, "checked_in", lambda: {**documents.checked_in(), "asyncapi.yaml": broken})
    assert compatibility.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("sms.status: country: is gone: keep it")
    assert "tests/data/contract/accepted.yaml" in said


def test_an_accepted_break_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = compatibility.RELEASES / "accepted.yaml"
    accepted = yaml.safe_load(file.read_text())
    accepted[compatibility.last_release().name]["sms.status: country: is gone"] = "no reader uses it"
    changed = tmp_path / "accepted.yaml"
    changed.write_text(yaml.safe_dump(accepted))
    monkeypatch.setattr(compatibility, "ACCEPTED", changed)
    monkeypatch.setattr(compatibility, "ROOT", tmp_path)
    assert compatibility.main() == 1
    assert "no such change: sms.status: country: is gone" in capsys.readouterr().err
