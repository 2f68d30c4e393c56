"""Erasures through the command, Kafka and workers that are killed: nothing of a number is left, and no count moves."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from sandbox.kafka import KafkaCluster
from sinks.errors import FatalError
from sinks.kafka.erasures import KafkaErasures
from sinks.settings import SinksSettings
from streams import cli
from streams.admin import verify
from streams.contract.erasures import Erasures, Marks
from streams.contract.keys import partition_of
from streams.contract.topics import ERASURES
from streams.errors import Exit
from tests.builders import envelope, sms_callback
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.worker import CRASHED
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

KEY: Final = "".join(f"{byte:02x}" for byte in range(32))
MESSAGES: Final = 60
ERASED: Final = [f"+3069000000{number:02d}" for number in range(0, MESSAGES, 3)]
RECEIVED: Final = "2026-11-22T12:00:00.000Z"
full = pytest.mark.full


def sent(lab: Lab, words: tuple[str, ...], *, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield an envelope for each callback, of messages with a number each."""
    for word in words:
        for number in range(first, first + MESSAGES):
            message = f"m-{number}"
            body = sms_callback(
                word,
                f"2026-11-22T09:16:{5 + 7 * words.index(word):02d}Z",
                message_id=message,
                sms_id=f"s-{number}",
                campaign=f"c-{number % 3}",
                to=f"+3069000000{number % MESSAGES:02d}",
            )
            yield partition_of(message, lab.partitions), envelope(body, received_at=RECEIVED)


def statuses(lab: Lab) -> list[dict[str, Any]]:
    return [orjson.loads(value) for _, _, value in lab.read("sms.status") if value]


def newest(records: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    ordered = sorted(records, key=lambda record: (record["generation"], record["revision"]))
    return {record[key]: record for record in ordered}


def is_blank(record: dict[str, Any]) -> bool:
    return record["recipient"] is record["message"] is record["label"] is None


def erase(lab: Lab, monkeypatch: pytest.MonkeyPatch, *numbers: str) -> int:
    for name, value in lab.environment().items():
        monkeypatch.setenv(name, value)
    return cli.main(["erase", *(f"--recipient={number}" for number in numbers)])


def expect_erased(lab: Lab, numbers: list[str]) -> Callable[[], bool]:
    """Return whether exactly these numbers are gone from the newest records."""
    gone = {f"s-{int(number[-2:])}" for number in numbers}

    def is_done() -> bool:
        found = newest(statuses(lab), "sms_key")
        return {key for key, record in found.items() if is_blank(record)} == gone

    return is_done


def require_one_content_for_each_revision(records: list[dict[str, Any]]) -> None:
    seen: dict[tuple[str, int, int], dict[str, Any]] = {}
    for record in records:
        assert seen.setdefault((record["sms_key"], record["generation"], record["revision"]), record) == record


def counts(lab: Lab) -> dict[str, Any]:
    records = [orjson.loads(value) for _, _, value in lab.read("campaign.progress") if value]
    names = ("messages", "messages_by_status", "parts_by_status", "price_total", "conflicts")
    return {key: {name: one[name] for name in names} for key, one in newest(records, "campaign_tracking_id").items()}


@pytest.mark.parametrize(
    "step",
    [
        None,
        ("sms", "erasures", 2),
        ("sms", "outputs", 1),
        pytest.param(("sms", "changelog", 1), marks=full),
        pytest.param(("sms", "store", 1), marks=full),
        pytest.param(("sms", "outputs", 2), marks=full),
        pytest.param(("sms", "erasures", 1), marks=full),
        pytest.param(("sms", "erasures", 4), marks=full),
        pytest.param(("sms", "changelog", 2), marks=full),
    ],
)
@pytest.mark.parametrize("store", ["rocksdict", pytest.param("memory", marks=full)])
def test_erased_numbers_go_and_nothing_else_changes(  # noqa: PLR0917 - fixtures
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[str, str, int] | None,
    store: str,
) -> None:
    # Cells are told at once: a flush that held some back would come before the step of the erasures.
    with Lab(
        kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY, STREAMS_STORE=store, STREAMS_DELIVERY_MS="0"
    ) as lab:
        lab.create_topics()
        worker = lab.start_ready(rules="product")
        lab.produce(sent(lab, ("Sent", "Delivered")))
        lab.drain()
        eventually(lambda: sum(one["messages"] for one in counts(lab).values()) == MESSAGES, 60)
        before, was = newest(statuses(lab), "sms_key"), counts(lab)
        lab.kill(worker)
        if step is not None:
            crashing = lab.start_ready(rules="product", crash=step)
            # Two commands, so that each step comes often enough, also when the worker is slow.
            first, later = ERASED[::2], ERASED[1::2]
            assert erase(lab, monkeypatch, *first) == 0
            is_erased = expect_erased(lab, first)
            eventually(lambda: crashing.exit_code is not None or is_erased(), 60)
            assert erase(lab, monkeypatch, *later) == 0
            assert crashing.wait() == CRASHED
            lab.expel(crashing)
            lab.start_ready(rules="product")
        else:
            assert erase(lab, monkeypatch, *ERASED) == 0
            lab.start_ready(rules="product")
        eventually(expect_erased(lab, ERASED), 60)
        lab.produce(sent(lab, ("Failed",)))
        lab.drain()
        records = statuses(lab)
        require_one_content_for_each_revision(records)
        after = newest(records, "sms_key")
        assert after.keys() == before.keys()
        for key, record in after.items():
            was_erased = int(key[2:]) % 3 == 0
            assert is_blank(record) is was_erased
            assert record["revision"] == before[key]["revision"] + 1 + was_erased
        assert {key: one["messages"] for key, one in counts(lab).items()} == {
            key: one["messages"] for key, one in was.items()
        }


def test_a_worker_without_the_key_does_not_work_with_erasures(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY) as lab:
        lab.create_topics()
        assert erase(lab, monkeypatch, ERASED[0]) == 0
        lab.settings["ERASURE_KEY"] = KEY[::-1]
        assert erase(lab, monkeypatch, ERASED[0]) == 2
        refused = lab.start(rules="product")
        assert refused.wait() == Exit.ERASURES_UNKNOWN
        assert "another ERASURE_KEY" in refused.log
        lab.settings["ERASURE_KEY"] = ""
        refused = lab.start(rules="product")
        assert refused.wait() == Exit.ERASURES_UNKNOWN
        assert "ERASURE_KEY is not set" in refused.log


def test_nothing_works_beside_a_record_that_is_no_erasure_until_another_one_takes_its_place(
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY) as lab:
        lab.create_topics()
        running = lab.start_ready(rules="product")
        assert erase(lab, monkeypatch, ERASED[0]) == 0
        produce_erasure(lab, b"a key", b'{"mark": "of another form"}')
        assert running.wait() == Exit.ERASURES_UNKNOWN
        refused = lab.start(rules="product")
        assert refused.wait() == Exit.ERASURES_UNKNOWN
        line = f"{topic_prefix}erasures offset 1 is no erasure"
        assert line in running.log
        assert line in refused.log
        assert erase(lab, monkeypatch, ERASED[1]) == 1
        assert line in capsys.readouterr().err
        with closing(KafkaErasures(sinks_settings(lab))) as source, pytest.raises(FatalError, match=line):
            source.all()
        produce_erasure(lab, b"a key", None)
        lab.start_ready(rules="product")
        assert erase(lab, monkeypatch, ERASED[1]) == 0
        with closing(KafkaErasures(sinks_settings(lab))) as source:
            assert len(source.all()) == 2
            produce_erasure(lab, b"another key", b"no JSON")
            with pytest.raises(FatalError, match="offset 4 is no erasure"):
                eventually(lambda: bool(source.read(1)), 30)


def produce_erasure(lab: Lab, key: bytes, value: bytes | None) -> None:
    producer = KafkaProducer(bootstrap_servers=lab.environment()["KAFKA_BOOTSTRAP_SERVERS"], acks="all")
    producer.send(ERASURES.name(lab.prefix), key=key, value=value).get(timeout=30)
    producer.close()


def sinks_settings(lab: Lab) -> SinksSettings:
    return SinksSettings(
        kafka_bootstrap_servers=lab.environment()["KAFKA_BOOTSTRAP_SERVERS"], kafka_topic_prefix=lab.prefix
    )


def test_records_read_later_are_written_without_an_erased_number(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a lag, and after `rebuild`: callbacks.raw still has the number."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY) as lab:
        lab.create_topics()
        lab.produce(sent(lab, ("Sent", "Delivered")))
        assert erase(lab, monkeypatch, *ERASED) == 0
        worker = lab.start_ready(rules="product")
        lab.drain()
        assert not [record for record in statuses(lab) if record["recipient"] in ERASED]
        assert erasures_told(lab) == {erasures_known(lab)}, "so no sink compares these records again"
        lab.kill(worker)
        assert cli.main(["rebuild", "--campaigns"]) == 0
        lab.start_ready(rules="product", folder="other")
        lab.drain()
        records = statuses(lab)
        assert not [record for record in records if record["recipient"] in ERASED]
        assert len({record["generation"] for record in records}) > 1


def erasures_told(lab: Lab) -> set[bytes]:
    """Return which erasures hold in the batches of SMS, as their headers say."""
    partitions = [TopicPartition(f"{lab.prefix}sms.status", number) for number in range(lab.partitions)]
    told: set[bytes] = set()
    with closing(KafkaConsumer(bootstrap_servers=lab.environment()["KAFKA_BOOTSTRAP_SERVERS"])) as consumer:
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(one) < ends[one] for one in partitions):
            for found in consumer.poll(200).values():
                headers = [dict(record.headers).get("erasures") for record in found]
                told |= {header.partition(b"/")[0] for header in headers if header}
    return told


def erasures_known(lab: Lab) -> bytes:
    """Return the digest of the erasures that a sink reads."""
    known = Erasures(Marks(KEY.encode()))
    with closing(KafkaErasures(sinks_settings(lab))) as source:
        for one in source.all():
            known.add(one)
    return known.digest


def sinks_that_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Let a program take the place of `routee-sinks`; it answers only when it is given numbers."""
    program = tmp_path / "routee-sinks"
    program.write_text(f"#!/bin/sh\ngrep -q '^+30' && echo '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(verify, "_SINKS", program)


def test_verify_tells_the_rest_of_each_store_and_until_when(
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    sinks_that_answer(
        tmp_path, monkeypatch, '{"store": "files", "found": 0, "erased": 2, "not_covered": 3, "expires_on": null}'
    )
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY) as lab:
        lab.create_topics()
        worker = lab.start_ready(rules="product")
        lab.produce(sent(lab, ("Sent", "Delivered")))
        lab.produce(
            [(0, envelope({"messageId": 5, "to": ERASED[0], "status": {"name": "Sent"}}, received_at=RECEIVED))]
        )
        lab.drain()
        assert erase(lab, monkeypatch, ERASED[0]) == 0
        eventually(expect_erased(lab, ERASED[:1]), 60)
        worker.stop()
        capfdbinary.readouterr()
        assert cli.main(["erase", "--verify", f"--recipient={ERASED[0]}"]) == 0
        told = dict(line.split(": ", 1) for line in capfdbinary.readouterr().out.decode().splitlines())
        assert told["callbacks.raw"].startswith("found 3, erased 0, expires on 20")
        assert told["callbacks.rejected"].startswith("found 1, erased 0, expires on 20")
        assert told["sms.status"].startswith("found 2, erased 1, expires on 20")
        assert told["streams-sms-changelog"].startswith("found ")
        assert told["local state"] == "found 0, erased 1"
        assert told["campaign.progress"] == told["streams-campaigns-changelog"] == "found 0, erased 0"
        assert told["files"] == "found 0, erased 2, not covered 3"
        assert cli.main(["export", "--recipient=0030 6900000000"]) == 0
        lines = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
        assert [one["store"] for one in lines].count("callbacks.raw") == 3
        assert {one["record"]["recipient"] for one in lines if one["store"] == "sms.status"} == {ERASED[0]}
        assert cli.main(["erase", "--verify", f"--recipient={ERASED[1]}"]) == 0
        told = dict(line.split(": ", 1) for line in capfdbinary.readouterr().out.decode().splitlines())
        assert told["local state"] == "found 0, erased 0, not covered 1"


def test_sinks_that_cannot_be_asked_are_told(
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(verify, "_SINKS", tmp_path / "missing")
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, ERASURE_KEY=KEY) as lab:
        lab.create_topics()
        assert erase(lab, monkeypatch, ERASED[0]) == 0
        assert cli.main(["erase", "--verify", f"--recipient={ERASED[0]}"]) == 1
        said = capsys.readouterr()
        assert "sms.status: found 0, erased 0" in said.out.splitlines()
        assert "\nthe stores of the sinks were not asked" in said.err
