"""The documents for machines are those of the models, and what they say is true of records."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from streams.cli import main
from streams.contract import documents
from streams.contract.headers import headers, headers_of, with_erasures
from streams.contract.records import PUBLIC_RECORDS
from streams.contract.schemas import EXAMPLES, examples_of, schema_json
from streams.contract.topics import PUBLIC_TOPICS, SMS_STATUS, Topic
from streams.program.settings import CommonSettings
from tests.support.markdown import ROOT
from tests.unit.contract import example_records

MADE = documents.made()
ASYNCAPI: dict[str, Any] = yaml.safe_load(MADE["asyncapi.yaml"])
OFFICIAL = ROOT / "tests" / "data" / "asyncapi" / "3.1.0.json"


@pytest.mark.parametrize("name", MADE)
def test_a_checked_in_document_is_that_of_the_models(name: str) -> None:
    """`make contract` writes them anew."""
    assert documents.checked_in()[name] == MADE[name]


def test_all_documents_that_are_made_are_checked_in() -> None:
    assert documents.checked_in().keys() == MADE.keys()


@pytest.mark.parametrize("topic", PUBLIC_RECORDS)
def test_the_examples_are_records_as_the_programs_write_them(topic: str) -> None:
    """`make contract` writes them anew."""
    assert (EXAMPLES / f"{topic}.json").read_bytes() == example_records.written(
        example_records.example_records()[topic]
    )


@pytest.mark.parametrize("topic", PUBLIC_RECORDS)
def test_every_example_is_valid(topic: str) -> None:
    schema = orjson.loads(schema_json(topic))
    Draft202012Validator.check_schema(schema)
    assert schema["examples"] == examples_of(topic) != []
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize("topic", PUBLIC_RECORDS)
def test_a_schema_names_itself_and_its_version(topic: str) -> None:
    schema = orjson.loads(schema_json(topic))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:routee-callbacks:{topic}/1"


@pytest.mark.parametrize("topic", PUBLIC_RECORDS)
def test_every_field_has_a_description(topic: str) -> None:
    schema = orjson.loads(schema_json(topic))
    forms = {topic: schema, **schema.get("$defs", {})}
    fields = {
        f"{form}.{name}": field for form, one in forms.items() for name, field in one.get("properties", {}).items()
    }
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert [name for name, form in forms.items() if not form.get("description")] == []


def test_the_asyncapi_document_has_the_form_of_its_standard() -> None:
    schema = orjson.loads(OFFICIAL.read_bytes())
    Draft7Validator(schema).validate(ASYNCAPI)
    wrong = ASYNCAPI | {"operations": {"write": {"action": "shout"}}}
    assert not Draft7Validator(schema).is_valid(wrong)


def test_the_asyncapi_document_has_every_public_topic() -> None:
    assert [*ASYNCAPI["channels"]] == [topic.suffix for topic in PUBLIC_TOPICS]
    prefix = CommonSettings.model_fields["kafka_topic_prefix"].default
    partitions = CommonSettings.model_fields["kafka_partitions"].default
    for topic in PUBLIC_TOPICS:
        channel = ASYNCAPI["channels"][topic.suffix]
        kafka = channel["bindings"]["kafka"]
        assert channel["address"] == kafka["topic"] == topic.name(prefix)
        assert kafka["partitions"] == (topic.partitions or partitions)
        assert {name: told(value) for name, value in kafka["topicConfiguration"].items()} == topic.config


@pytest.mark.parametrize("topic", PUBLIC_TOPICS, ids=lambda topic: topic.suffix)
def test_the_schema_of_a_key_takes_the_keys_of_records_and_no_others(topic: Topic) -> None:
    keys = {"callbacks.raw": {"m-1", None}, "callbacks.rejected": {None}, "sinks.rejected": {None}}
    schema = ASYNCAPI["components"]["messages"][topic.suffix]["bindings"]["kafka"]["key"]
    taken = {key for key in ("m-1", None) if Draft7Validator(schema).is_valid(key)}
    assert taken == keys.get(topic.suffix, {"m-1"})


def told(value: Any) -> str:  # noqa: ANN401 - a setting of any type
    """Return a setting as Kafka writes it."""
    return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("topic", PUBLIC_RECORDS)
def test_the_examples_of_the_asyncapi_document_fit_its_own_schemas(topic: str) -> None:
    message = ASYNCAPI["components"]["messages"][topic]
    schema = {**message["payload"], "components": ASYNCAPI["components"]}
    assert message["examples"]
    for example in message["examples"]:
        Draft7Validator(schema).validate(example["payload"])


@pytest.mark.parametrize("topic", PUBLIC_TOPICS, ids=lambda topic: topic.suffix)
def test_the_headers_of_records_are_those_of_the_asyncapi_document(topic: Topic) -> None:
    schema = ASYNCAPI["components"]["messages"][topic.suffix]["headers"]
    campaigns: dict[str, list[str | None]] = {"sms.status": ["c-1", None], "campaign.progress": ["c-1"]}
    known = campaigns.get(topic.suffix, [])
    written = [headers_of(topic.suffix, final, campaign) for final in (True, False) for campaign in known]
    if topic is SMS_STATUS:
        written += [with_erasures(written[0], b"0123456789abcdef", 7)]
    for one in written or [headers(topic)]:
        told = {name: value.decode() for name, value in one}
        Draft7Validator(schema).validate(told)
        assert told.keys() <= schema["properties"].keys()
        assert not Draft7Validator(schema).is_valid({**told, "schema": "sms.status/0"})


def test_contract_prints_all_documents_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract"]) == 0
    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert printed == [yaml.safe_load(text) for text in MADE.values()]


def test_contract_reads_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PARTITIONS", "many")
    assert main(["contract"]) == 0


def test_contract_writes_each_document_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["contract", "--write", str(folder)]) == 0
    assert {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")} == MADE
    assert capsys.readouterr().out.splitlines() == [str(folder / name) for name in MADE]


def test_contract_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["contract", "--write", str(file)]) == 1
    assert capsys.readouterr().err.startswith(f"--write {file}: ")
