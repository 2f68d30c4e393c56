"""
A golden set under another prefix, on another Kafka: its records at the same offsets, its local state as just written.
"""

import time
from pathlib import Path
from shutil import copytree

from kafka import KafkaProducer, TopicPartition

from tests.support.golden.product import (
    CALLBACKS_RAW,
    CAMPAIGN_PARTIALS,
    CAMPAIGNS_CHANGELOG,
    SMS_CHANGELOG,
    SOURCE,
    RocksMemory,
    RocksStore,
    changelog,
)
from tests.support.golden.stored import TABLES, Golden, Stored
from tests.support.pipeline.lab import Lab

SOURCES = {"sms": CALLBACKS_RAW, "campaigns": CAMPAIGN_PARTIALS}


def load(lab: Lab, golden: Golden) -> None:
    """Write all records to the lab's topics, which are empty, and commit the stored offsets."""
    lab.wait_for_leaders()
    ids = lab.topic_ids()
    renamed = {SMS_CHANGELOG: ids[CALLBACKS_RAW], CAMPAIGNS_CHANGELOG: ids[CAMPAIGN_PARTIALS]}
    for topic in (CALLBACKS_RAW, SMS_CHANGELOG, CAMPAIGNS_CHANGELOG, CAMPAIGN_PARTIALS):
        records = golden.records(topic.suffix)
        _produce(lab, topic.name(lab.prefix), [_of_source(one, renamed.get(topic, "")) for one in records])
    committed = {
        TopicPartition(lab.prefix + suffix, int(number)): offset
        for suffix, offsets in golden.meta["committed"].items()
        for number, offset in offsets.items()
    }
    lab.commit(committed)


def _of_source(record: Stored, topic_id: str) -> Stored:
    """Rows name the topic that they were made from, which has another id here."""
    if record.key != SOURCE:
        return record
    return Stored(record.partition, record.offset, SOURCE, topic_id.encode())


def _produce(lab: Lab, topic: str, records: list[Stored]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=lab.environment()["KAFKA_BOOTSTRAP_SERVERS"], acks="all", max_request_size=2_000_000
    )
    sent = [
        (one, producer.send(topic, key=one.key, value=one.value, partition=one.partition))
        for one in sorted(records, key=lambda one: one.offset)
    ]
    producer.close()
    assert [one for one, future in sent if future.get().offset != one.offset] == []


def put_store(lab: Lab, golden: Golden, folder: Path) -> None:
    """
    Copy the local state to the folder of a worker, as if it had been written now.

    A table's folder is named by its changelog's id. AssertionError when a row is not read from it.
    """
    ids = lab.topic_ids()
    for table in TABLES:
        mine = folder / f"{table}-{ids[changelog(table)]}"
        copytree(golden.store(table), mine)
        _make_young(mine, golden, table, ids[SOURCES[table]])


def _make_young(folder: Path, golden: Golden, table: str, source_id: str) -> None:
    """Write to a copy of local state as if the clock had stood still since it was written, and goes on now."""
    now = float(golden.written_at)
    store = RocksStore(folder, RocksMemory(), lambda: now)
    for number in range(golden.partitions):
        require_rows(store, golden, table, number)
    now = time.time()
    for number in range(golden.partitions):
        rows = {SOURCE: source_id.encode()} if store.read(number, SOURCE) else {}
        store.write(number, rows, store.offset(number))
        store.close(number)


def require_rows(store: RocksStore, golden: Golden, table: str, number: int) -> None:
    """Open a partition; AssertionError unless it has all rows of the golden changelog, and its last offset."""
    store.open(number)
    ends = [one.offset for one in golden.records(changelog(table).suffix) if one.partition == number]
    assert store.offset(number) == ends[-1]
    assert dict(store.scan(number, b"")) == golden.rows(table)[number]
