"""
`routee-sinks files` with a bucket that throttles, fails and loses answers, and sinks that are killed at work.
"""

import random
import time
from typing import Any

import pytest

from tests.behaviour.sinks.kafka_topics import Topics
from tests.faults.sinks_load import Load
from tests.faults.test_sinks_files import fields, has_written
from tests.integration.sinks.running import Running
from tests.support.s3.bucket import Bucket
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

SMALL = {"SINKS_BATCH_SECONDS": "0.2", "SINKS_BATCH_ROWS": "100", "SINKS_BATCH_BYTES": "160000"}
COLUMNS = (
    "sms_key, status, revision, operator, message, price::DECIMAL(18, 8) AS price, epoch_ms(received_at) AS received_at"
)


def rows_of(bucket: Bucket) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the compared fields of every row, by its position; no position is there twice."""
    if not bucket.names("sms_status"):
        return {}
    names = ["sms_key", "status", "revision", "operator", "message", "price", "received_at"]
    rows = bucket.duckdb(f"SELECT topic_partition, topic_offset, {COLUMNS} FROM found", "sms_status")  # noqa: S608 - names of ours
    found = {(row[0], row[1]): dict(zip(names, row[2:], strict=True)) for row in rows}
    assert len(found) == len(rows), "a record is in two objects"
    return found


def expect_topic(topics: Topics, bucket: Bucket) -> None:
    """Wait until the objects hold as many rows as the topic records, and compare them one by one."""
    values = {position: fields(value or b"") for position, value in topics.everything("sms.status").items()}
    eventually(lambda: len(rows_of(bucket)) >= len(values), 120, every=1)
    found = rows_of(bucket)
    assert found.keys() == values.keys()
    assert [at for at, row in found.items() if row != {name: values[at][name] for name in row}] == []


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, marks=pytest.mark.timeout(300)),
        pytest.param(20, marks=[pytest.mark.full, pytest.mark.timeout(900)]),
    ],
)
def test_killed_while_the_store_throttles_fails_and_loses_answers_each_record_is_in_one_object(
    bucket: Bucket, topics: Topics, running: Running, kills: int
) -> None:
    """Two sinks at a time: one is killed, and the other one takes over what it may have written a moment ago."""
    chance = random.Random(11)  # noqa: S311 - moments, not secrets
    settings = {**bucket.settings, **SMALL}
    stays = running.start("files", **settings)
    eventually(lambda sink=stays: sink.get("/readyz"), 60)  # type: ignore[misc]
    bucket.wire.fail_at_random(seed=5, share=0.3)
    with Load(topics, 300_000, per_second=200) as load:
        for _ in range(kills):
            sink = running.start("files", **settings)
            eventually(lambda sinks=(stays, sink): any(map(has_written, sinks)), 60)  # type: ignore[misc]
            moment = time.monotonic() + chance.uniform(0, 2)
            eventually(lambda moment=moment: time.monotonic() > moment, 10, every=0.01)  # type: ignore[misc]
            stays.kill()
            stays = sink
        load.end()
        expect_topic(topics, bucket)
    assert bucket.wire.made.keys() == {"SlowDown", "InternalError", "lost answer"}


def test_a_store_that_throttles_is_waited_for_and_told(bucket: Bucket, topics: Topics, running: Running) -> None:
    sink = running.start("files", **bucket.settings, **SMALL)
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
    bucket.wire.choose = lambda method, _: "SlowDown" if method == "PUT" else None
    with Load(topics, 300, per_second=1_000) as load:
        load.finish()
        eventually(lambda: "SlowDown" in sink.get("/readyz")[1], 60)
        assert sink.get("/readyz")[0] == 503
        bucket.wire.choose = lambda _method, _path: None
        expect_topic(topics, bucket)
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
