"""
People erased while sinks write, are killed, lag behind or fill a database again.

Nothing of them is left, and nothing else changed.
"""

import gzip
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.parquet
import pytest

from sinks.clickhouse.client import ClickHouse
from streams.contract.codec import encode
from streams.contract.erasures import BLANKED
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import at, rejection, sms
from tests.faults.test_sinks_files import READERS
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running, Sink
from tests.support.erasures import KEY, erasure
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

# So small that each kill meets several batches and files.
SMALL: Final = {"SINKS_BATCH_SECONDS": "0.2", "SINKS_BATCH_ROWS": "500", "ERASURE_KEY": KEY}
ERASED_AT: Final = at(1_000_000)
LATER: Final = at(2_000_000)


class World:
    """SMS of many people on the topics, some of whom are erased; and how the stores must end."""

    def __init__(self, topics: Topics, people: int, erased: int) -> None:
        self.topics = topics
        self.people = people
        self.erased = erased
        self.sent = 0

    def number(self, person: int) -> str:
        return f"+3069{person:08d}"

    def send(self, count: int) -> None:
        """Put SMS with two revisions each on the topics, and a refused callback for every tenth."""
        values, refused = [], []
        for number in range(self.sent, self.sent + count):
            # The same number in several spellings; and, later, perhaps another person's.
            spelling = self.number(number % self.people)
            spelling = spelling.replace("+", "00") if number % 7 == 0 else spelling
            moment = LATER if number % 11 == 0 else at(number)
            for revision in (1, 2):
                record = sms(
                    f"sms-{number:07d}",
                    revision=revision,
                    recipient=spelling,
                    label=f"order of {number}",
                    message=f"text for {number}",
                    first_received_at=moment,
                    status_updated_at=moment,
                    queued_at=None,
                )
                values.append((number % PARTITIONS, encode(record)))
            if number % 10 == 0:
                body = f'{{"to":"{spelling}","n":{number}}}'
                refused.append((number % PARTITIONS, encode(rejection(body=body, offset=number, received_at=moment))))
        self.topics.produce("sms.status", values)
        self.topics.produce("callbacks.rejected", refused)
        self.sent += count

    def erase(self) -> None:
        """Put the erasures on their topic."""
        found = [encode(erasure(self.number(person), ERASED_AT)) for person in range(self.erased)]
        self.topics.produce("erasures", [(0, value) for value in found])

    def is_covered(self, number: int) -> bool:
        return number % self.people < self.erased and number % 11 != 0

    def expected(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record as a store must have it in the end."""
        if "sms_key" in row:
            return {**row, **(dict.fromkeys(BLANKED) if self.is_covered(int(row["sms_key"][4:])) else {})}
        number = orjson.loads(row["body"])["n"]
        return {**row, **({"body": None} if self.is_covered(number) else {})}

    def records(self, suffix: str) -> list[dict[str, Any]]:
        """Return the values of a topic as the stores must have them."""
        found = self.topics.everything(suffix)
        return [
            self.expected(orjson.loads(value or b"")) | {"topic_partition": place[0], "topic_offset": place[1]}
            for place, value in sorted(found.items())
        ]


class Tables:
    """Every row of the tables, merged or not."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def wrong(self, world: World) -> list[Any]:
        """Return the rows that are missing, or have another person's cell changed, or still have data."""
        return [*self._wrong_sms(world), *self._wrong_refused(world)]

    def _wrong_sms(self, world: World) -> Iterator[Any]:
        wanted = {(row["sms_key"], row["revision"]): row for row in world.records("sms.status")}
        columns = ("sms_key", "revision", "recipient", "message", "label", "status", "operator")
        for table in ("sms_status_history", "sms_status"):
            found = {}
            query = f"SELECT DISTINCT {', '.join(columns)} FROM {table}"  # noqa: S608 - our names
            for values in self._clickhouse.rows(query):
                row = dict(zip(columns, values, strict=True))
                key = (row["sms_key"], row["revision"])
                if key in found or row != {name: wanted[key][name] for name in columns}:
                    yield table, key
                found[key] = row
            # Of the table of latest rows, merges take the older ones.
            missing = wanted.keys() - found.keys()
            if missing and (table == "sms_status_history" or max(revision for _, revision in missing) > 1):
                yield table, len(missing)
        messages = {f"message-of-{row['sms_key']}": row["recipient"] for row in wanted.values()}
        for name, recipient in self._clickhouse.rows("SELECT DISTINCT message_id, recipient FROM message_status"):
            if recipient != messages[name]:
                yield "message_status", name
        prices = self._clickhouse.value("SELECT sum(price) FROM sms")
        if float(prices) != pytest.approx(world.sent * 0.006):
            yield "price", prices

    def _wrong_refused(self, world: World) -> Iterator[Any]:
        wanted = {(row["topic_partition"], row["topic_offset"]): row for row in world.records("callbacks.rejected")}
        columns = ("topic_partition", "topic_offset", "body", "reason", "detail")
        found = self._clickhouse.rows(f"SELECT {', '.join(columns)} FROM rejections")  # noqa: S608 - same
        for values in found:
            row = dict(zip(columns, values, strict=True))
            if row != {name: wanted[row["topic_partition"], row["topic_offset"]][name] for name in columns}:
                yield "rejected_callbacks", row["topic_offset"]
        if len(found) != len(wanted):
            yield "rejected_callbacks", len(found)


@pytest.fixture
def database_of_its_own(tables: ClickHouse) -> Tables:
    return Tables(tables)


class Files:
    """Every row of the files."""

    def __init__(self, root: Path, file_format: str) -> None:
        self.root = root
        self.suffix = READERS[file_format][0]
        self.settings = {**SMALL, "SINKS_FILES_ROOT": str(root), "SINKS_FILES_FORMAT": file_format}

    def wrong(self, world: World) -> list[Any]:
        """Return the rows that are missing or other than they must be."""
        return [
            *self._wrong(world.records("sms.status"), "sms_status", ("recipient", "message", "label", "sms_key")),
            *self._wrong(world.records("callbacks.rejected"), "rejected_callbacks", ("body", "reason")),
        ]

    def _wrong(self, wanted: list[dict[str, Any]], table: str, columns: tuple[str, ...]) -> Iterator[Any]:
        found = {}
        for file in self.root.glob(f"{table}/date=*/[!.]*.{self.suffix}"):
            for row in self._read(file):
                place = (row["topic_partition"], row["topic_offset"])
                if place in found:
                    yield "twice", place
                found[place] = row
        for row in wanted:
            place = (row["topic_partition"], row["topic_offset"])
            if place not in found or any(found[place][name] != row[name] for name in columns):
                yield table, place
        if len(found) != len(wanted):
            yield table, len(found)

    def _read(self, file: Path) -> list[dict[str, Any]]:
        if file.suffix == ".parquet":
            rows: list[dict[str, Any]] = pyarrow.parquet.ParquetFile(file).read().to_pylist()
            return rows
        return [orjson.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


@pytest.fixture
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Give a folder of the format that the test asks for."""
    return Files(tmp_path / "files", request.param)


def wait_until_right(store: Tables | Files, world: World, seconds: float = 120) -> None:
    def nothing_is_wrong() -> bool:
        wrong = store.wrong(world)
        assert wrong[:10] == []
        return True

    eventually(nothing_is_wrong, seconds, every=0.5)


def begun(sink: Sink) -> Sink:
    eventually(lambda: sink.metric("routee_sinks_rows_total") > 0, 60)
    return sink


KILLS = [
    pytest.param(2, 3_000, id="2", marks=pytest.mark.timeout(300)),
    pytest.param(20, 60_000, id="20", marks=[pytest.mark.full, pytest.mark.timeout(1_800)]),
]


@pytest.mark.parametrize(("kills", "count"), KILLS)
def test_killed_again_and_again_nothing_of_the_erased_is_left_and_nothing_of_others_changed(
    database_of_its_own: Tables, topics: Topics, running: Running, kills: int, count: int
) -> None:
    """Two sinks share the work; the erasures come between the rows, and each kill meets a sink at work."""
    chance = random.Random(5)  # noqa: S311 - moments, not secrets
    world = World(topics, people=count // 5, erased=count // 25)
    world.send(count // 2)
    other = begun(running.start("clickhouse", **SMALL))
    world.erase()
    for _ in range(kills):
        sink = running.start("clickhouse", **SMALL)
        world.send(count // 2 // kills)
        eventually(lambda sink=sink: sink.said("consuming"), 60)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 3))
        sink.kill()
        if chance.random() < 0.3:
            other.kill()
            other = running.start("clickhouse", **SMALL)
    wait_until_right(database_of_its_own, world, 300)
    assert other.stop()[0] == 0
    assert database_of_its_own.wrong(world) == []


@pytest.mark.parametrize(
    ("files", "kills", "count"),
    [
        pytest.param("parquet", 2, 3_000, id="parquet, 2", marks=pytest.mark.timeout(300)),
        *[
            pytest.param(name, 20, 60_000, id=f"{name}, 20", marks=[pytest.mark.full, pytest.mark.timeout(1_800)])
            for name in READERS
        ],
    ],
    indirect=["files"],
)
def test_killed_again_and_again_the_files_have_every_row_and_nothing_of_the_erased(
    files: Files, topics: Topics, running: Running, kills: int, count: int
) -> None:
    chance = random.Random(3)  # noqa: S311 - moments, not secrets
    world = World(topics, people=count // 5, erased=count // 25)
    world.send(count // 2)
    begun(running.start("files", **files.settings)).kill()
    world.erase()
    for _ in range(kills):
        sink = running.start("files", **files.settings)
        world.send(count // 2 // kills)
        eventually(lambda sink=sink: sink.said("consuming"), 60)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 2))
        sink.kill()
    running.start("files", **files.settings)
    wait_until_right(files, world, 300)


@pytest.mark.timeout(300)
def test_a_sink_that_was_away_and_a_database_that_is_filled_again_bring_nothing_back(
    database_of_its_own: Tables, tables: ClickHouse, topics: Topics, running: Running
) -> None:
    world = World(topics, people=200, erased=40)
    world.send(1_000)
    world.erase()
    world.send(1_000)
    # Every record is read after all erasures: none may be written with data, not even for a moment.
    sink = begun(running.start("clickhouse", **SMALL))
    wait_until_right(database_of_its_own, world)
    assert sink.metric("routee_sinks_erased_rows_total") == 0
    assert sink.stop()[0] == 0
    for table in ("sms_status", "sms_status_history", "sms_lives", "message_status", "rejected_callbacks"):
        tables.execute(f"TRUNCATE TABLE {table}")
    topics.forget_commits("sinks-clickhouse")
    sink = begun(running.start("clickhouse", **SMALL))
    wait_until_right(database_of_its_own, world)
    assert sink.metric("routee_sinks_erased_rows_total") == 0
