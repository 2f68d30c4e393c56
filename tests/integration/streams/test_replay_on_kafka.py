"""
A replay of the topics on the real Kafka gives what a replay of their archive gives, and keeps erased people out.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from sandbox.kafka import KafkaCluster
from streams.contract.erasures import Erasure, Marks
from streams.contract.topics import CALLBACKS_RAW, ERASURES
from streams.replay.command import KAFKA, replay
from streams.replay.compare import compare
from streams.settings import StreamsSettings
from tests.builders import envelope, sms_callback
from tests.support.every_verdict import verdict_load
from tests.unit.streams.replay.test_replay import archive

pytestmark = pytest.mark.kafka

KEY = sha256(b"of the replay").hexdigest()


def test_kafka_is_replayed_as_its_archive(tmp_path: Path, kafka: KafkaCluster, topic_prefix: str) -> None:
    loads = [[*verdict_load(6), envelope(sms_callback(to="+306900000077", message_id="erased"))], verdict_load(7)]
    topic = CALLBACKS_RAW.name(topic_prefix)
    client = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    try:
        client.create_topics(
            {
                topic: {"num_partitions": 2, "replication_factor": 1},
                ERASURES.name(topic_prefix): {"num_partitions": 1, "replication_factor": 1},
            }
        )
        client.wait_for_topics([topic, ERASURES.name(topic_prefix)], timeout_ms=60_000)
        for partition, values in enumerate(loads):
            for value in values:
                producer.send(topic, value, partition=partition)
        producer.flush(60)
        settings = {
            "kafka_bootstrap_servers": kafka.bootstrap_servers, "kafka_topic_prefix": topic_prefix, "erasure_key": KEY,
        }  # fmt: skip
        before = StreamsSettings.model_validate(settings)
        replay(before, KAFKA, None, tmp_path / "topics", pytest.fail)
        replay(before, str(archive(tmp_path / "archive", *loads)), None, tmp_path / "files", pytest.fail)
        # Kafka has all records in one minute, the archive one a minute. Unlike in truth, reports of a campaign lie
        # in both partitions, so their order depends on that; all else does not.
        found = {(one.table, one.column) for one in compare(tmp_path / "topics", tmp_path / "files")}
        assert {table for table, column in found if column != "revision"} <= {"campaigns"}
        marks = Marks(KEY.encode())
        at = datetime.fromisoformat("2026-11-22T12:00:00+00:00") + timedelta(days=1)
        erasure = Erasure(mark=marks.of("+306900000077") or "", at=at, key_id=marks.key_id)
        producer.send(ERASURES.name(topic_prefix), erasure.model_dump_json().encode(), key=erasure.mark.encode())
        producer.flush(60)
    finally:
        producer.close()
        client.close()
    for origin in (KAFKA, str(tmp_path / "archive")):
        into = tmp_path / f"erased-{len(origin)}"
        replay(before, origin, None, into, pytest.fail)
        recipients = pyarrow.parquet.read_table(into / "sms" / "0.parquet", partitioning=None)["recipient"].to_pylist()
        assert "+306900000077" not in recipients
        assert None in recipients
