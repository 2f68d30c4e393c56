"""
Writes a golden set with the code at hand: `python -m tests.support.golden.make`.

Real workers take in `traffic` on a real Kafka. Between two of them the state of the SMS is made anew (so that rows
have a generation), and the rows name another producer id as their owner (so that one is retired). The last one is
killed between two pieces of a large envelope. Then the topics and the local state are written to files.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from typing import Any, Final

import orjson
from kafka import KafkaConsumer, TopicPartition

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.support.golden import traffic
from tests.support.golden.forms import missing_forms
from tests.support.golden.product import (
    CALLBACKS_RAW,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PREFIX,
    CAMPAIGN_PROGRESS,
    CAMPAIGNS_CHANGELOG,
    MESSAGE_PREFIX,
    OWNER,
    SMS_CHANGELOG,
    SMS_STATUS,
    RocksMemory,
    RocksStore,
    Topic,
    campaign_view,
    changelog,
    message_view,
    read_tally,
)
from tests.support.golden.stored import FOLDER, TABLES, Golden, Stored, latest, written
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.worker import CRASHED

WRITTEN_AT: Final = 1_795_348_800
"""The clock of the local state when it is written last: the same in every set (2026-11-22T12:00Z)."""

_ATTEMPTS: Final = 3
"""How far the last worker has come when it ends depends on the machine."""

_FOREIGN_OWNER: Final = b"987654"
_SUMMARIZED_ONCE: Final = {"STREAMS_PROGRESS_MS": "600000", "STREAMS_FLUSH_MS": "10000"}
_NOT_ROWS: Final = ("LOG*", "LOCK", "*.log")
"""Files of RocksDB that it makes anew; its log names folders of this machine."""


def main(arguments: list[str]) -> int:
    """Write the set of this version; return the exit code."""
    folder = FOLDER / (arguments[0] if arguments else metadata.version("routee-callbacks"))
    if (folder / "meta.json").exists():
        print(f"{folder} is there already: delete it first, or name another version")  # noqa: T201
        return 1
    for _ in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory() as scratch, KafkaCluster(Path(scratch) / "kafka", free_port()) as kafka:
            _make(kafka.bootstrap_servers, Path(scratch), folder)
        missing = missing_forms(Golden(folder))
        if not missing:
            return 0
        rmtree(folder)
        print("not in the set: " + ", ".join(missing))  # noqa: T201
    return 1


def _make(servers: str, scratch: Path, folder: Path) -> None:
    settings = {"STREAMS_PROGRESS_MS": "0", "STREAMS_STATE_RETENTION_HOURS": f"{traffic.RETENTION_HOURS}"}
    with Lab(servers, "golden.", scratch, partitions=traffic.PARTITIONS, **settings) as lab:
        lab.create_topics()
        records = [*_work(lab)]
        topics = {topic: _read(lab, topic) for topic in (CALLBACKS_RAW, *_STATE)}
        assert {(one.partition, one.value) for one in topics[CALLBACKS_RAW]} == set(records)
        folder.mkdir(parents=True)
        _write(folder / "callbacks.raw.jsonl", map(written, _placed(records)))
        for topic in _STATE:
            _write(folder / f"{topic.suffix}.jsonl", map(written, topics[topic]))
        stores = _stores(lab, scratch, {table: topics[changelog(table)] for table in TABLES})
        copytree(stores, folder / "store", ignore=ignore_patterns(*_NOT_ROWS))
        _write(folder / "meta.json", [orjson.dumps(_meta(lab), option=orjson.OPT_INDENT_2)])
        _write_answers(lab, Golden(folder))


_STATE: Final = (SMS_CHANGELOG, CAMPAIGNS_CHANGELOG, CAMPAIGN_PARTIALS)


def _work(lab: Lab) -> Iterator[traffic.Record]:
    """Let workers take in the traffic; yield it."""
    before, forms, held = [*traffic.before()], [*traffic.all_forms()], [*traffic.held_back()]
    _run(lab, before)
    _rebuild(lab)
    _run(lab, forms)
    for table in TABLES:
        lab.write(changelog(table).suffix, traffic.GENERAL, OWNER, _FOREIGN_OWNER)
    _run(lab, held)
    lab.produce([traffic.large()])
    # Each piece is a checkpoint. It ends with the third: of the second, which holds back, all is durable by then.
    lab.settings.update(_SUMMARIZED_ONCE)
    crashing = lab.start(rules="product", hard=0, partial=600.0, crash=["campaigns", "changelog", 3])
    assert crashing.wait() == CRASHED, crashing.log
    lab.expel(crashing)
    yield from (*before, *forms, *held, traffic.large())


def _run(lab: Lab, records: Iterable[traffic.Record]) -> None:
    """Let a worker take in records, and stop it."""
    worker = lab.start_ready(rules="product")
    lab.produce(records)
    lab.drain()
    worker.stop()


def _rebuild(lab: Lab) -> None:
    command = Path(sys.executable).parent / "routee-streams"
    subprocess.run([command, "rebuild"], env=lab.environment(), check=True, stdout=subprocess.DEVNULL)


def _read(lab: Lab, topic: Topic) -> list[Stored]:
    """Return all records of a topic; AssertionError when any is missing: offsets must be the same when it is loaded."""
    consumer = KafkaConsumer(bootstrap_servers=lab.environment()["KAFKA_BOOTSTRAP_SERVERS"], group_id=None)
    found: list[Stored] = []
    try:
        tps = [TopicPartition(topic.name(lab.prefix), number) for number in range(lab.partitions)]
        ends = consumer.end_offsets(tps)
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for tp, batch in consumer.poll(200).items():
                found += [Stored(tp.partition, one.offset, one.key, one.value) for one in batch]
    finally:
        consumer.close()
    found.sort(key=lambda one: (one.partition, one.offset))
    for tp in tps:
        assert [one.offset for one in found if one.partition == tp.partition] == [*range(ends[tp])], tp
    return found


def _placed(records: Iterable[traffic.Record]) -> Iterator[Stored]:
    ends = dict.fromkeys(range(traffic.PARTITIONS), 0)
    for partition, value in records:
        yield Stored(partition, ends[partition], None, value)
        ends[partition] += 1


def _stores(lab: Lab, scratch: Path, changelogs: Mapping[str, list[Stored]]) -> Path:
    """
    Bring the workers' local state up to the end of its changelogs, as a takeover does; return its folder.

    The worker that was killed had its last rows in memory only.
    """
    ids = lab.topic_ids()
    for table, records in changelogs.items():
        mine = scratch / "data" / "worker-0" / f"{table}-{ids[changelog(table)]}"
        mine.rename(scratch / "data" / table)
        store = RocksStore(scratch / "data" / table, RocksMemory(), lambda: WRITTEN_AT)
        for partition in range(lab.partitions):
            store.open(partition)
            have = store.offset(partition)
            mine_only = [one for one in records if one.partition == partition]
            new = [one for one in mine_only if have is None or one.offset > have]
            store.write(partition, {one.key or b"": one.value for one in new}, mine_only[-1].offset)
            store.close(partition)
    rmtree(scratch / "data" / "worker-0")
    return scratch / "data"


def _meta(lab: Lab) -> dict[str, Any]:
    raw, partials = CALLBACKS_RAW.name(lab.prefix), CAMPAIGN_PARTIALS.name(lab.prefix)
    committed = {(tp.topic, tp.partition): offset for tp, offset in lab.committed().items()}
    return {
        "version": metadata.version("routee-callbacks"),
        "partitions": lab.partitions,
        "written_at": WRITTEN_AT,
        "topic_ids": {topic.suffix: topic_id for topic, topic_id in lab.topic_ids().items()},
        "committed": {
            name: {str(number): offset for (topic, number), offset in sorted(committed.items()) if topic == full_name}
            for name, full_name in ((CALLBACKS_RAW.suffix, raw), (CAMPAIGN_PARTIALS.suffix, partials))
        },
    }


def _write_answers(lab: Lab, golden: Golden) -> None:
    folder = golden.folder / "answers"
    folder.mkdir()
    told = {
        topic: [value for _, rows in sorted(latest(_read(lab, topic)).items()) for value in rows.values()]
        for topic in (SMS_STATUS, CAMPAIGN_PROGRESS)
    }
    for topic, values in told.items():
        _write(folder / f"{topic.suffix}.jsonl", values)
    statuses = {status["sms_key"]: status for status in map(orjson.loads, told[SMS_STATUS])}
    messages, tallies = [], []
    for partition, rows in golden.memory("sms").items():
        keys = sorted(key for key in rows.written if key.startswith(MESSAGE_PREFIX))
        views = ((key, _summary(message_view(rows, key), statuses)) for key in keys)
        messages += [{"partition": partition, "row": key.decode(), **view} for key, view in views]
        tallies.append({"partition": partition, **read_tally(rows)})
    campaigns = [
        campaign_view(rows, key)
        for rows in golden.memory("campaigns").values()
        for key in sorted(rows.written)
        if key.startswith(CAMPAIGN_PREFIX)
    ]
    for name, answers in (("messages", messages), ("campaigns", campaigns), ("tallies", tallies)):
        _write(folder / f"{name}.jsonl", map(orjson.dumps, answers))


def _summary(view: dict[str, Any] | None, statuses: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a view of a message, with the key only of an SMS that is as its last public record has it."""
    assert view is not None
    return {**view, "sms": [sms["sms_key"] if statuses[sms["sms_key"]] == sms else sms for sms in view["sms"]]}


def _write(file: Path, lines: Iterable[bytes]) -> None:
    file.write_bytes(b"".join(line + b"\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
