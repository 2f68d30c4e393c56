"""
The consumers in `streams/contract/examples`, on topics of the whole pipeline: they agree with the emulator's ledger.

They read a copy of the topics in which half of the records come again, late and out of order, as after a replay.
Records behind all others tell that a consumer has read everything.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from aiokafka.partitioner import murmur2
from jsonschema import Draft7Validator
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from sandbox.audit.audit import Kafka, Sources, audit
from sandbox.audit.clickhouse import ClickHouse
from sandbox.emulator.ledger import read_ledger
from sandbox.emulator.oracle import Oracle
from sandbox.jars import jars_folder
from sandbox.stack import Sandbox
from streams.contract.documents import FOLDER, checked_in
from streams.contract.keys import callback_key, partition_of
from tests.support.toolchain import fetch, need
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(400)]

EXAMPLES: Final = FOLDER / "examples"
PROGRAM: Final = str(Path(sys.executable).with_name("routee-sandbox"))
TRAFFIC: Final = (
    "--campaigns 2 --recipients 100 --singles 30 --strategy mixed --seed 34 --rate 600 "
    "--duplicates 0.1 --reorder 0.2 --conflicts 0.05 --malformed 0.03"
)
END: Final = "End"
LANGUAGES: Final = {"python": ".py", "javascript": ".js", "go": ".go", "java": ".java"}
MOST_LINES: Final = 30

Command = tuple[str, ...]


@dataclass
class Replayed:
    """The ledger, and a copy of the topics with everything twice."""

    oracle: Oracle
    servers: str
    prefix: str
    partitions: int

    @contextmanager
    def run(self, *command: str, folder: Path, output: Path) -> Iterator[Callable[[], list[str]]]:
        """Run a consumer; give a function that returns the lines which it has printed."""
        environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": self.servers, "KAFKA_TOPIC_PREFIX": self.prefix}
        errors = output.with_suffix(".err")
        with (
            output.open("wb") as out,
            errors.open("wb") as err,
            subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err) as process,
        ):

            def lines() -> list[str]:
                text = output.read_text()
                assert process.poll() is None, errors.read_text()
                return text[: text.rfind("\n") + 1].splitlines()

            try:
                yield lines
            finally:
                process.kill()


@pytest.fixture(scope="module")
def replayed(sandbox: Sandbox, database: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.ndjson"
    command = [PROGRAM, "emulate", "--url", sandbox.addresses.callback_url, "--ledger", str(ledger), *TRAFFIC.split()]
    emulator = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert emulator.returncode == 0, emulator.stderr
    oracle, servers = read_ledger(ledger), sandbox.addresses.kafka
    found = audit(oracle, Sources(database, Kafka(servers)), quiet_seconds=60)
    assert [str(difference) for difference in found.differences[:5]] == []
    copied = Replayed(oracle, servers, f"e{secrets.token_hex(4)}.", sandbox.settings.kafka_partitions)
    copy(copied, "sms.status", lambda record: record["sms_key"] in oracle.sms)
    copy(copied, "campaign.progress", lambda record: record["campaign_tracking_id"] in oracle.campaigns)
    return copied


def copy(to: Replayed, suffix: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Copy the wanted records of a topic, then the first half of them again, then the records that mark the end."""
    name = to.prefix + suffix
    admin = KafkaAdminClient(bootstrap_servers=to.servers)
    admin.create_topics([NewTopic(name, num_partitions=to.partitions, replication_factor=1)])
    admin.close()
    records = [record for record in everything(to.servers, f"routee.{suffix}") if wanted(json.loads(record.value))]
    assert records
    producer = KafkaProducer(bootstrap_servers=to.servers, acks="all")
    for record in [*records, *records[: len(records) // 2]]:
        producer.send(name, record.value, record.key, list(record.headers), record.partition)
    for partition, value in ends(to, records, suffix):
        producer.send(name, json.dumps(value).encode(), partition=partition)
    producer.flush()
    producer.close()


def everything(servers: str, topic: str) -> list[Any]:
    """Return every record of a topic, in the order of its partitions."""
    consumer = KafkaConsumer(bootstrap_servers=servers)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    last = consumer.end_offsets(partitions)
    records: list[Any] = []
    while any(consumer.position(one) < last[one] for one in partitions):
        records += [record for batch in consumer.poll(500).values() for record in batch]
    consumer.close()
    return records


def ends(to: Replayed, records: list[Any], suffix: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the partition and value of each last record: an SMS in each partition, or a later state of a campaign."""
    if suffix == "sms.status":
        sms = {**json.loads(records[0].value), "status": END, "is_final": True}
        yield from ((partition, {**sms, "sms_key": f"end-{partition}"}) for partition in range(to.partitions))
    else:
        newest = {value["campaign_tracking_id"]: (record.partition, value) for record, value in decoded(records)}
        later = {"revision": 1_000_000, "messages_by_status": {END: 1}}
        yield from ((partition, {**value, **later}) for partition, value in newest.values())


def decoded(records: list[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    return ((record, json.loads(record.value)) for record in records)


# --- the things that each consumer must have found out ---


def statuses(oracle: Oracle) -> dict[str, str]:
    return {key: sms.state["status"] for key, sms in oracle.sms.items() if sms.state}


def agree_about_the_latest_status(replayed: Replayed, lines: Callable[[], list[str]]) -> None:
    def read() -> dict[str, str]:
        found = dict(line.split(" ") for line in lines())
        assert sum(key.startswith("end-") for key in found) == replayed.partitions
        return found

    found = eventually(read, 60, every=0.1)
    assert {key: status for key, status in found.items() if not key.startswith("end-")} == statuses(replayed.oracle)


def agree_about_the_finals(replayed: Replayed, lines: Callable[[], list[str]]) -> None:
    def read() -> dict[str, int]:
        printed = lines()
        assert printed
        found: dict[str, int] = json.loads(printed[-1])
        assert found.get(END) == replayed.partitions
        return found

    found = Counter(eventually(read, 60, every=0.1))
    final = [status for status in statuses(replayed.oracle).values() if status not in ("Queued", "Sent")]
    assert found - Counter({END: replayed.partitions}) == Counter(final)


def agree_about_the_campaign(replayed: Replayed, campaign: str, lines: Callable[[], list[str]]) -> None:
    def read() -> list[dict[str, int]]:
        states = [json.loads(line[line.index("{") :]) for line in lines()]
        assert any(END in state for state in states)
        return states

    states = eventually(read, 60, every=0.1)
    real = [state for state in states if END not in state]
    assert real
    assert real[-1] == replayed.oracle.counts()[campaign].messages_by_status


def try_all(replayed: Replayed, commands: Mapping[str, Command], folder: Path, output: Path) -> None:
    """Run each consumer to the end of the topics, and compare its answer with the ledger."""
    for task, command in commands.items():
        file = output / task
        if task == "latest_status":
            with replayed.run(*command, folder=folder, output=file) as lines:
                agree_about_the_latest_status(replayed, lines)
        elif task == "count_finals":
            with replayed.run(*command, folder=folder, output=file) as lines:
                agree_about_the_finals(replayed, lines)
        else:
            for campaign in replayed.oracle.campaigns:
                with replayed.run(*command, campaign, folder=folder, output=file) as lines:
                    agree_about_the_campaign(replayed, campaign, lines)


TASKS: Final = ("latest_status", "count_finals", "follow_campaign")


@pytest.mark.parametrize("library", ["confluent", "kafka_python"])
def test_the_python_consumers_agree_with_the_ledger(replayed: Replayed, library: str, tmp_path: Path) -> None:
    commands = {task: (sys.executable, str(EXAMPLES / "python" / f"{task}_{library}.py")) for task in TASKS}
    try_all(replayed, commands, tmp_path, tmp_path)


@pytest.mark.full
def test_the_javascript_consumers_agree_with_the_ledger(replayed: Replayed, tmp_path: Path) -> None:
    need("node", "npm")
    folder = tmp_path / "javascript"
    shutil.copytree(EXAMPLES / "javascript", folder, ignore=shutil.ignore_patterns("node_modules"))
    fetch("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    try_all(replayed, {task: ("node", f"{task}.js") for task in TASKS}, folder, tmp_path)


@pytest.mark.full
def test_the_go_consumer_agrees_with_the_ledger(
    replayed: Replayed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("go")
    for name, value in {"GOMODCACHE": "modules", "GOCACHE": "cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setenv("GOFLAGS", "-modcacherw")
    folder = tmp_path / "go"
    shutil.copytree(EXAMPLES / "go", folder)
    fetch("go", "mod", "download", folder=folder)
    subprocess.run(["go", "build", "-o", "consumer", "."], cwd=folder, check=True, timeout=300)
    try_all(replayed, {"latest_status": ("./consumer",)}, folder, tmp_path)


@pytest.mark.full
def test_the_java_consumer_agrees_with_the_ledger(replayed: Replayed, tmp_path: Path) -> None:
    """With Kafka's own jars, which the sandbox has: they include kafka-clients and jackson-databind."""
    need("java", "javac")
    command = ("java", "-cp", f"{jars_folder()}/*", str(EXAMPLES / "java" / "LatestStatus.java"))
    try_all(replayed, {"latest_status": command}, tmp_path, tmp_path)


ASYNCAPI: Final = yaml.safe_load(checked_in()["asyncapi.yaml"])


@pytest.mark.parametrize("topic", ["callbacks.raw", "callbacks.rejected", "sms.status", "campaign.progress"])
def test_every_record_of_the_pipeline_is_as_the_asyncapi_document_says(replayed: Replayed, topic: str) -> None:
    """Its value, headers, key and partition; records that other tests sent are looked at, too."""
    message = ASYNCAPI["components"]["messages"][topic]
    value_form = Draft7Validator({**message["payload"], "components": ASYNCAPI["components"]})
    header_form = Draft7Validator(message["headers"])
    records = everything(replayed.servers, f"routee.{topic}")
    assert records
    for record in records:
        value = json.loads(record.value)
        value_form.validate(value)
        told = {name: header.decode() for name, header in record.headers}
        header_form.validate(told)
        assert told.get("campaign") == value.get("campaign_tracking_id")
        assert (None if record.key is None else record.key.decode()) == key_of(topic, value)
        assert partition(topic, value, replayed.partitions) in (None, record.partition)


def key_of(topic: str, value: dict[str, Any]) -> str | None:
    """Return the key of a record, by the words of the document."""
    if topic == "callbacks.raw":
        return callback_key(value["callbacks"][0]) if len(value["callbacks"]) == 1 else None
    words: str = ASYNCAPI["components"]["messages"][topic]["bindings"]["kafka"]["key"]["description"]
    return None if words == "none" else value[words.strip("`")]


def partition(topic: str, value: dict[str, Any], partitions: int) -> int | None:
    """Return the partition of a record, by the words of the document; None where any will do."""
    if topic == "callbacks.raw":
        (number,) = {partition_of(callback_key(one) or "", partitions) for one in value["callbacks"]}
        return number
    if topic == "sms.status":
        return partition_of(value["message_id"], partitions)
    if topic == "campaign.progress":
        return int(murmur2(value["campaign_tracking_id"].lower().encode()) & 0x7FFFFFFF) % partitions
    return None


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_is_short(language: str) -> None:
    """Imports, comments and empty lines are not counted."""
    lengths = {file.name: len(statements(file)) for file in (EXAMPLES / language).glob(f"*{LANGUAGES[language]}")}
    assert lengths
    assert {name: length for name, length in lengths.items() if not 10 <= length <= MOST_LINES} == {}


def statements(file: Path) -> list[str]:
    text = re.sub(r"^import \(.*?^\)", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = map(str.strip, text.splitlines())
    return [line for line in lines if line and not line.startswith(("import ", "from ", "//", "#", '"""'))]
