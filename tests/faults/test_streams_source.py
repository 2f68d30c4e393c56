"""
Faults of the source of a worker: expired before it was read, skipped, written in transactions, made anew.
"""

from pathlib import Path

import pytest
from kafka import TopicPartition

from sandbox.kafka import KafkaCluster
from streams import cli
from streams.contract.topics import CALLBACKS_RAW, changelog
from streams.errors import Exit
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import Record, traffic
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka
full = pytest.mark.full


def only(partition: int, records: list[Record]) -> list[Record]:
    """Return the records of one partition."""
    return [record for record in records if record[0] == partition]


def test_a_new_group_begins_where_the_source_begins_and_what_expired_before_is_no_work(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(12, 300, lab.partitions)
        lab.produce(records)
        for partition, gone in ((0, len(only(0, records))), (1, 4)):
            lab.expire(partition, gone)
            lab.forget(partition, 0, gone)
        worker = lab.start_ready()
        lab.verify()
        eventually(lambda: worker.lag_of("sms", 0) == 0)


def test_records_that_expired_unread_stop_a_worker_until_that_is_accepted(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The line says which; then only they are missing, and every row, revision and count goes on."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(13, 600, lab.partitions)
        half = len(records) // 2
        first = lab.start_ready()
        lab.produce(records[:half])
        lab.drain()
        lab.kill(first)
        lab.produce(records[half:])
        read = len(only(1, records[:half]))
        lab.expire(1, read + 3)
        refusing = lab.start()
        assert refusing.wait() == Exit.SOURCE_EXPIRED
        assert f"callbacks.raw[1]: offsets {read} to {read + 2} expired unread" in refusing.log
        lab.expel(refusing)
        lab.settings["STREAMS_EXPIRED_SOURCE"] = "skip"
        lab.start()
        lab.forget(1, read, read + 3)
        lab.verify()


def test_a_record_on_which_the_rules_fail_is_named_and_stays_the_next_one(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """Each worker meets it again, and none tells its text; after three of them it would be rejected."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(16, 200, lab.partitions)
        place = len(only(1, records))
        lab.produce([*records, (1, b'{"events":[["secret"]]}'), *records[:3]])
        named = f"stage-raised: {topic_prefix}callbacks.raw[1] offset {place}: sms could not take it in"
        for times in (1, 2):
            failing = lab.start()
            assert failing.wait() == Exit.STAGE_RAISED
            last = failing.log.splitlines()[-1]
            assert f"{named} ({times} in a row): " in last
            assert "secret" not in failing.log
            lab.expel(failing)
        assert lab.committed().get(TopicPartition(f"{topic_prefix}callbacks.raw", 1), 0) <= place


@full
def test_the_marks_of_a_transaction_are_no_gap_and_no_work(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(14, 200, lab.partitions)
        half = len(records) // 2
        lab.start_ready()
        lab.produce(records[:half], transaction=f"{topic_prefix}replay")
        lab.produce(records[half:])
        lab.verify()


def test_a_state_that_was_lost_is_made_anew_and_its_campaigns_keep_their_rows(
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`rebuild` is refused while workers run; counts of a younger generation replace higher counts of an older one."""
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        for name, value in lab.environment().items():
            monkeypatch.setenv(name, value)
        lab.create_topics()
        records = traffic(15, 600, lab.partitions)
        first = lab.start_ready()
        lab.produce(records)
        lab.drain()
        assert cli.main(["rebuild"]) == 1
        assert "stop all workers first" in capsys.readouterr().err
        lab.kill(first)
        lab.expire(1, 5)
        lab.forget(1, 0, 5)
        lab.recreate(changelog("sms"))
        lost = lab.start()
        assert lost.wait() == Exit.STATE_LOST
        lab.expel(lost)
        assert cli.main(["rebuild"]) == 0
        lab.start()
        lab.drain()
        eventually(lambda: not [line for line in lab.differences() if "sms.status" not in line], 60, every=0.2)


def test_a_source_that_was_made_anew_is_refused_until_the_state_is(
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its offsets begin at 0 again: taken for replays, its records would be left out."""
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        for name, value in lab.environment().items():
            monkeypatch.setenv(name, value)
        lab.create_topics()
        first = lab.start_ready()
        lab.produce(traffic(6, 100, lab.partitions))
        lab.drain()
        lab.kill(first)
        lab.recreate(CALLBACKS_RAW)
        refusing = lab.start()
        assert refusing.wait() == Exit.SOURCE_REPLACED
        lab.expel(refusing)
        for partition in range(lab.partitions):
            lab.forget(partition, 0, 1_000)
        assert cli.main(["rebuild"]) == 0
        lab.start()
        lab.produce(traffic(6, 200, lab.partitions))
        lab.drain()
        eventually(lambda: not [line for line in lab.differences() if "sms.status" not in line], 60, every=0.2)


def test_topics_that_were_given_more_partitions_are_refused_and_nothing_is_counted_twice(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """A key moves with their number: its next callback would begin it anew in a partition that does not know it."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        first = lab.start_ready()
        lab.produce(traffic(6, 100, lab.partitions))
        lab.drain()
        lab.kill(first)
        before = lab.ends("sms.status", "campaign.progress")
        lab.widen(lab.partitions + 2)
        lab.produce(traffic(6, 100, lab.partitions))
        for folder in ("data", "another"):
            refusing = lab.start(folder)
            assert refusing.wait() == Exit.PARTITIONS_CHANGED
            lab.expel(refusing)
        assert sum(lab.ends("sms.status", "campaign.progress").values()) == sum(before.values())
