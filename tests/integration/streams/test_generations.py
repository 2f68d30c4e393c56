"""
The newest record of each SMS, message and campaign by numbers alone: with kills, and after the rows were made anew.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sinks.cli import run_schema
from sinks.clickhouse.client import connect
from sinks.clickhouse.sink import ClickHouseSink
from sinks.settings import SinksSettings
from sinks.source import Record
from streams import cli
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PARTIALS, PUBLIC_TOPICS
from tests.builders import campaign_report, envelope, sms_callback
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

MESSAGES: Final = 40
STATE: Final = (
    *("status", "previous_status", "is_final", "parts", "parts_seen", "latency_seconds", "price", "revision"),
)
_STEPS: Final = [("sms", "outputs"), ("sms", "changelog"), ("sms", "store"), ("", "commit"), ("campaigns", "outputs")]


def callbacks(
    seed: int, words: tuple[str, ...] = ("Queued", "Sent", "Delivered", "Undelivered"), messages: int = MESSAGES
) -> list[dict[str, Any]]:
    """Return callbacks of messages of one to four parts, shuffled, a third of them twice, and campaign reports."""
    chance = random.Random(seed)  # noqa: S311 - spreads traffic, guards nothing
    made = []
    for number in range(messages):
        parts = number % 4 + 1
        for part in range(1, parts + 1):
            for second, word in enumerate(chance.sample(words, k=min(3, len(words)))):
                at = f"2026-11-22T09:16:{second * 10 + part:02d}Z"
                sms = {"message_id": f"m-{number}", "sms_id": f"s-{number}-{part}", "part": part, "parts": parts}
                made.append(sms_callback(word, at, campaign=f"c-{number % 3}", **sms))
    made += chance.choices(made, k=len(made) // 3)
    chance.shuffle(made)
    return [*made, *(campaign_report("Running", {"Delivered": 3}, campaign=f"c-{number}") for number in range(3))]


def records(lab: Lab, posted: list[dict[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """Yield envelopes of up to five callbacks of one partition, as ingest would make them."""
    for partition in range(lab.partitions):
        mine = [
            one
            for one in posted
            if partition_of(one.get("messageId") or one["trackingId"], lab.partitions) == partition
        ]
        yield from ((partition, envelope(*mine[at : at + 5])) for at in range(0, len(mine), 5))


def told(lab: Lab, suffix: str) -> Iterator[dict[str, Any]]:
    return (orjson.loads(value or b"") for _, _, value in lab.read(suffix))


def newest(records: Iterable[dict[str, Any]], key: str, revision: str) -> dict[str, dict[str, Any]]:
    """Return the newest record of each key, by the rule of the contract."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        known = found.get(record[key])
        if known is None or (record["generation"], record[revision]) > (known["generation"], known[revision]):
            found[record[key]] = record
    return found


@contextmanager
def asking(worker: ToyWorker) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Give answers of a worker, over one connection; a worker that is not ready is asked again."""
    with closing(HTTPConnection("127.0.0.1", worker.port, timeout=30)) as connection:

        def answer(path: str) -> bytes:
            connection.request("GET", path)
            given = connection.getresponse()
            body = given.read()
            assert given.status == HTTPStatus.OK, (path, given.status)
            return body

        yield lambda path: orjson.loads(eventually(lambda: answer(path)))


def of_the_sms(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if not name.startswith("message_")}


def agree(lab: Lab, worker: ToyWorker, messages: int = MESSAGES) -> bool:
    """Tell whether HTTP answers the newest record of every message, SMS and campaign; AssertionError if not."""
    with asking(worker) as ask:
        return _agree(lab, ask, messages)


def _agree(lab: Lab, ask: Callable[[str], dict[str, Any]], messages: int) -> bool:
    by_key = newest(told(lab, "sms.status"), "sms_key", "revision")
    left = newest(told(lab, "sms.status"), "message_id", "message_revision")
    assert len(left) == messages
    for message, record in left.items():
        view = ask(f"/messages/{message}")
        assert {f"message_{name}": view[name] for name in STATE} == {
            f"message_{name}": record[f"message_{name}"] for name in STATE
        }
        assert view["generation"] == record["generation"]
        for sms in view["sms"]:
            assert of_the_sms(sms) == of_the_sms(by_key.pop(sms["sms_key"]))
    assert by_key == {}
    for message in [*left][:MESSAGES]:
        for sms in ask(f"/messages/{message}")["sms"]:
            assert ask(f"/sms/{sms['sms_key']}") == sms
    for campaign, record in newest(told(lab, "campaign.progress"), "campaign_tracking_id", "revision").items():
        assert ask(f"/campaigns/{campaign}") == record
    return True


@pytest.fixture
def settings(clickhouse: ClickHouseServer, database: str) -> Iterator[SinksSettings]:
    """Give a database with the schema."""
    found = SinksSettings(
        clickhouse_url=clickhouse.url,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_database=database,
    )
    run_schema(found)
    yield found
    with closing(connect(found)) as tables:
        tables.execute(f"DROP DATABASE `{database}`")


def require_in_views(lab: Lab, settings: SinksSettings) -> None:
    """Write the topic to ClickHouse, in any order and some of it twice, and require its newest records in the views."""
    rows = [Record("t", 0, offset, 0, value) for offset, (_, _, value) in enumerate(lab.read("sms.status"))]
    rows += rows[::5]
    random.Random(len(rows)).shuffle(rows)  # noqa: S311 - spreads rows, guards nothing
    with closing(connect(settings)) as tables:
        sink = ClickHouseSink(tables)
        for first in range(0, len(rows), 1 + len(rows) // 20):
            sink.write("sms_status", rows[first : first + 1 + len(rows) // 20])
        messages = {
            message: dict(zip(("generation", *STATE), row, strict=True))
            for message, *row in tables.rows(f"SELECT message_id, generation, {', '.join(STATE)} FROM messages")  # noqa: S608
        }
        sms = tables.rows("SELECT sms_key, generation, revision, status FROM sms")
    left = newest(told(lab, "sms.status"), "message_id", "message_revision")
    assert messages == {
        message: {
            "generation": record["generation"],
            **{name: record[f"message_{name}"] for name in STATE},
            "price": record["message_price"] and Decimal(record["message_price"]),
        }
        for message, record in left.items()
    }
    by_key = newest(told(lab, "sms.status"), "sms_key", "revision")
    assert sorted(sms) == sorted(
        (key, one["generation"], one["revision"], one["status"]) for key, one in by_key.items()
    )


@pytest.mark.parametrize(
    ("messages", "kills"),
    [(MESSAGES, 5), pytest.param(100_000, 20, marks=[pytest.mark.full, pytest.mark.timeout(3_600)])],
)
def test_the_newest_record_is_what_http_and_views_answer_through_kills_and_after_a_rebuild(  # noqa: PLR0917 - fixtures
    kafka: KafkaCluster,
    settings: SinksSettings,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    messages: int,
    kills: int,
) -> None:
    """The worker is killed after a step of a flush, one kind of step after the other."""
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_PROGRESS_MS="0") as lab:
        for name, value in lab.environment().items():
            monkeypatch.setenv(name, value)
        lab.create_topics()
        sent = [*records(lab, callbacks(1, messages=messages))]
        share = len(sent) // (kills + 1)
        for kill in range(kills):
            worker = lab.start(rules="product", crash=[*_STEPS[kill % len(_STEPS)], 1 + kill // len(_STEPS)])
            lab.produce(sent[kill * share : (kill + 1) * share])
            worker.wait()
            lab.expel(worker)
        worker = lab.start_ready(rules="product")
        lab.produce(sent[kills * share :])
        lab.drain(60 + messages / 50)
        eventually(lambda: agree(lab, worker, messages), 600, every=0.5)
        before = newest(told(lab, "sms.status"), "sms_key", "revision")
        worker.stop()
        require_in_views(lab, settings)

        assert cli.main(["rebuild", "--campaigns"]) == 0
        worker = lab.start_ready(rules="product")
        lab.drain(60 + messages / 50)
        eventually(lambda: agree(lab, worker, messages), 600, every=0.5)
        after = newest(told(lab, "sms.status"), "sms_key", "revision")
        assert after.keys() == before.keys()
        assert min(one["generation"] for one in after.values()) > max(one["generation"] for one in before.values())
        assert {key: one["status"] for key, one in after.items()} == {key: one["status"] for key, one in before.items()}
        worker.stop()
        require_in_views(lab, settings)


def test_a_source_made_anew_gives_out_higher_generations(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its offsets begin at 0 again, and with `--campaigns` its partials do, too: fewer changes come than there were."""
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_PROGRESS_MS="0") as lab:
        for name, value in lab.environment().items():
            monkeypatch.setenv(name, value)
        lab.create_topics()
        worker = lab.start_ready(rules="product")
        lab.produce(records(lab, callbacks(2)))
        lab.drain()
        worker.stop()
        lab.recreate(CALLBACKS_RAW)
        lab.recreate(CAMPAIGN_PARTIALS)
        for partition in range(lab.partitions):
            lab.forget(partition, 0, 100_000)
        assert cli.main(["rebuild", "--campaigns"]) == 0
        worker = lab.start_ready(rules="product")
        lab.produce(records(lab, callbacks(3, ("Queued",))))
        lab.drain()
        eventually(lambda: agree(lab, worker), every=0.5)
        statuses = newest(told(lab, "sms.status"), "message_id", "message_revision").values()
        assert {one["message_status"] for one in statuses} == {"Queued"}
        worker.stop()


def test_every_record_has_its_headers_in_kafka(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_PROGRESS_MS="0") as lab:
        lab.create_topics()
        worker = lab.start_ready(rules="product")
        lab.produce([(0, b"no envelope"), *records(lab, callbacks(4))])
        lab.drain()
        worker.stop()
        found = set()
        for suffix in ("sms.status", "campaign.progress", "callbacks.rejected"):
            for value, headers in _with_headers(kafka, topic_prefix + suffix, lab.partitions):
                expected = {"type": suffix.encode(), "schema": f"{suffix}/1".encode()}
                if "is_final" in value:
                    expected["final"] = b"%d" % value["is_final"]
                if value.get("campaign_tracking_id"):
                    expected["campaign"] = value["campaign_tracking_id"].encode()
                assert headers == expected
                found.add(suffix)
        assert found <= {topic.suffix for topic in PUBLIC_TOPICS}
        assert len(found) == 3
        changelog = _with_headers(kafka, f"{topic_prefix}streams-sms-changelog", lab.partitions, parse=False)
        assert {len(headers) for _, headers in changelog} == {0}


def _with_headers(
    kafka: KafkaCluster, topic: str, partitions: int, *, parse: bool = True
) -> list[tuple[Any, dict[str, bytes]]]:
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, group_id=None, enable_auto_commit=False)
    try:
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        ends = consumer.end_offsets(tps)
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        read = []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for batch in consumer.poll(200).values():
                read += [(orjson.loads(one.value) if parse else None, dict(one.headers)) for one in batch]
        return read
    finally:
        consumer.close()
