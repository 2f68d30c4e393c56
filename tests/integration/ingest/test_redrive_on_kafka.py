"""
`routee-ingest redrive` as a process, on the real Kafka: what it plans, stores, leaves alone, writes and reads.
"""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from sinks.files.formats import FORMATS
from sinks.files.object_compaction import compact_objects
from sinks.source import Record
from streams.program.archive import TABLE, Archived
from streams.program.objects import ObjectPath, open_place
from tests.integration.ingest.refused_callbacks import RefusedCallbacks
from tests.support.s3.bucket import Bucket

pytestmark = pytest.mark.kafka


async def test_refused_callbacks_go_back_once_and_three_times_at_most(
    tmp_path: Path, kafka: KafkaCluster, topic_prefix: str
) -> None:
    """Byte for byte, with their first receipt; a plan stores nothing; a second run redrives none again."""
    at = RefusedCallbacks(kafka.bootstrap_servers, topic_prefix)
    at.refuse(20)
    at.refuse_by_ingest(b"no callback")
    planned = await at.redrive(tmp_path, "--plan")
    assert "bug: 20 refused: 20 to redrive" in planned
    assert "bug: today's rules would make of those to redrive: 20 taken in" in planned
    assert "not-json: 1 refused: 1 no callback" in planned
    assert at.redriven() == []
    assert "redriven: 20" in await at.redrive(tmp_path, "--reason", "bug")
    assert at.redriven_numbers() == dict.fromkeys(range(20), 1)
    assert at.counted()["messages"] == 20
    assert "redriven: 0" in await at.redrive(tmp_path)
    for attempt in (2, 3):
        at.refuse_again()
        assert "redriven: 20" in await at.redrive(tmp_path)
        assert at.redriven_numbers() == dict.fromkeys(range(20), attempt)
    at.refuse_again()
    assert "bug: 80 refused: 60 redriven before, 20 tried 3 times" in await at.redrive(tmp_path)
    assert {envelope["first_received_at"] for _, envelope in at.redriven()} == {
        at.begun.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    }


async def test_corrected_callbacks_go_back(tmp_path: Path, kafka: KafkaCluster, topic_prefix: str) -> None:
    """A body that is no callback is written to a private file; a fault in the file is told, and nothing is stored."""
    at = RefusedCallbacks(kafka.bootstrap_servers, topic_prefix)
    at.refuse_by_ingest(b"no callback", b"none either")
    file = tmp_path / "refused.ndjson"
    said = await at.redrive(tmp_path, "--export", str(file))
    assert "2 callbacks, with numbers and texts" in said
    assert file.stat().st_mode & 0o777 == 0o600
    exported = file.read_bytes().splitlines()
    lines = [orjson.loads(line) | {"body": at.body(number).decode()} for number, line in enumerate(exported)]
    assert f"line {2}" in await _imported(at, file, [lines[0], lines[1] | {"body": "still none"}], code=1)
    assert at.redriven() == []
    assert "not-json: 2 refused: 2 to redrive" in await _imported(at, file, lines, "--plan")
    assert "redriven: 2" in await _imported(at, file, lines)
    assert "redriven: 0" in await _imported(at, file, lines)
    assert at.counted()["messages"] == 2


def _write(file: Path, lines: list[object]) -> None:
    file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


async def test_callbacks_that_kafka_has_no_longer_come_from_the_archive_in_a_bucket(
    tmp_path: Path, kafka: KafkaCluster, topic_prefix: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its objects are joined, and others are not yet."""
    for name, value in bucket.settings.items():
        monkeypatch.setenv(name, value)
    at = RefusedCallbacks(kafka.bootstrap_servers, topic_prefix)
    at.refuse(60)
    write_archive(bucket, at.forget_raw())
    assert "60 not redrivable: the bytes are gone" in await at.redrive(tmp_path, "--plan")
    assert "bug: 60 refused: 60 to redrive" in await at.redrive(tmp_path, "--plan", "--archive", bucket.root)
    assert "redriven: 60" in await at.redrive(tmp_path, "--archive", bucket.root)
    assert at.redriven_numbers() == dict.fromkeys(range(60), 1)
    assert "no such bucket" in await at.redrive(tmp_path, "--archive", "s3://no-such-bucket/prefix", code=1)


def write_archive(bucket: Bucket, records: list[Archived]) -> None:
    """Write an object for each record, and join them; one came later."""
    root = open_place(bucket.root)
    assert isinstance(root, ObjectPath)
    for one in records:
        row = Record("t", one.partition, one.offset, one.timestamp_ms, one.value)
        folder = root / TABLE / "date=2026-11-22"
        (folder / f"{one.partition}-{one.offset}.parquet").write_bytes(FORMATS["parquet"](TABLE, [row]))
    assert [done.problem for done in compact_objects(root, [TABLE], datetime(2026, 12, 31, tzinfo=UTC))] == [None]
    last = max(one.offset for one in records if one.partition == 1)
    row = Record("t", 1, last + 1, 0, b"later")
    (root / TABLE / "date=2026-11-23" / f"1-{last + 1}.parquet").write_bytes(FORMATS["parquet"](TABLE, [row]))


async def _imported(at: RefusedCallbacks, file: Path, lines: list[object], *options: str, code: int = 0) -> str:
    _write(file, lines)
    return await at.redrive(file.parent, "--import", str(file), *options, code=code)
