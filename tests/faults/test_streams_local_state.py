"""
Local state that differs from the changelog: older, newer, another worker's, another Kafka's.
"""

import resource
import shutil
import signal
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from streams.errors import Exit
from streams.state.store.rocks import RocksMemory, RocksStore
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import traffic

pytestmark = pytest.mark.kafka
full = pytest.mark.full


def databases(folder: Path) -> list[Path]:
    """Return the folder of each table below a worker's, without the lock."""
    return [found for found in folder.iterdir() if found.is_dir()]


def disturb(folder: Path) -> None:
    """Make local state that reaches further than its changelog, with rows that were never true."""
    for database in databases(folder):
        store = RocksStore(database, RocksMemory())
        for partition in range(3):
            store.open(partition)
            store.write(partition, {b"k:never": b'{"level":9,"revision":9,"group":"g9"}'}, 1_000_000)
            store.close(partition)


def test_a_backup_that_is_older_than_the_changelog_is_brought_up_to_date(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(31, 600, lab.partitions)
        first = lab.start_ready()
        lab.produce(records[:30])
        lab.drain()
        lab.kill(first)
        shutil.copytree(tmp_path / "data", tmp_path / "backup")
        second = lab.start_ready()
        lab.produce(records[30:60])
        lab.drain()
        lab.kill(second)
        lab.start_ready("backup")
        lab.produce(records[60:])
        lab.verify()


def test_state_that_reaches_further_than_the_changelog_is_read_anew(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(32, 600, lab.partitions)
        first = lab.start_ready()
        lab.produce(records[:40])
        lab.drain()
        lab.kill(first)
        disturb(tmp_path / "data" / "worker-0")
        second = lab.start_ready()
        assert "reaches offset 1000000 of" in second.log
        lab.produce(records[40:])
        lab.verify()


def test_a_worker_that_cannot_open_its_state_ends_with_a_line_that_names_the_folder(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(33, 600, lab.partitions)
        first = lab.start_ready()
        lab.produce(records[:40])
        lab.drain()
        lab.kill(first)
        folder = next((tmp_path / "data" / "worker-0").glob("*/0"))
        shutil.move(folder, tmp_path / "aside")
        folder.write_text("a file")
        second = lab.start()
        assert second.wait() == Exit.TAKEOVER_FAILED
        assert f"local state in {folder}: " in second.log
        assert "Traceback" not in second.log
        folder.unlink()
        lab.start_ready()
        lab.produce(records[40:])
        lab.verify()


def test_a_worker_whose_disk_is_full_when_it_is_stopped_ends_with_a_line_that_names_the_folder(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The rows in memory cannot be written to disk; Kafka has them, too."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        records = traffic(34, 600, lab.partitions)
        worker = lab.start_ready()
        lab.produce(records[:120])
        lab.drain()
        # Enough for the log, and less than the rows take.
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (2048, 2048))
        worker.signal(signal.SIGTERM)
        assert worker.wait() == Exit.FLUSH_FAILED
        assert f"local state in {tmp_path / 'data' / 'worker-0'}" in worker.log
        assert "Traceback" not in worker.log
        lab.start_ready()
        lab.produce(records[120:])
        lab.verify()


@full
def test_workers_that_were_given_each_others_folders_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4) as lab:
        lab.create_topics()
        records = traffic(33, 900, lab.partitions)
        workers = [lab.start_ready("a"), lab.start_ready("b")]
        lab.produce(records[:60])
        lab.drain()
        for worker in workers:
            lab.kill(worker)
        for name in ("a", "b"):
            shutil.copytree(tmp_path / name, tmp_path / f"{name}-copy")
        lab.start_ready("b-copy")
        lab.start_ready("a-copy")
        lab.produce(records[60:])
        lab.verify()


@full
def test_the_folder_of_another_kafka_is_left_alone(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """Topics of the same names, made anew, have other ids: so have the databases."""
    for records in (traffic(34, 300, 3), traffic(35, 300, 3)):
        with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
            lab.create_topics()
            worker = lab.start_ready()
            lab.produce(records)
            lab.verify()
            lab.kill(worker)
            lab.delete_everything()
