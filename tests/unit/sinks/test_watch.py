"""
No insert while an object is missing that rows go through, and readiness tells it.
"""

import re
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from sinks.clickhouse import watch as module
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.differences import Comparison, Difference, Fault
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import objects_of
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.watch import SchemaWatch, WatchedSink
from sinks.errors import FatalError, PermanentError, RetryableError, SchemaError, ShortError
from sinks.metrics import Metrics, Readiness
from sinks.sink import MemorySink
from sinks.source import TopicPartition
from tests.support.wait import eventually
from tests.unit.sinks.records import TOPIC, record

OBJECTS = objects_of(known_migrations())
VIEW_GONE = Difference(OBJECTS["sms_inbox_to_status"], Fault.MISSING)
COLUMN_GONE = Difference(OBJECTS["sms_status"], Fault.COLUMNS, columns=("price",))
READING_VIEW_GONE = Difference(OBJECTS["messages"], Fault.MISSING)
MISSING = "is not there, or CLICKHOUSE_USER may not see it: run `routee-sinks schema`"


class Database:
    """Differs from the schema as the test says, or raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[Difference] = []
        self.other_views: list[str] = []
        self.error: Exception | None = None
        self.looks = 0
        monkeypatch.setattr(module, "look", self._look)

    def _look(self, _: ClickHouse) -> Comparison:
        self.looks += 1
        if self.error:
            raise self.error
        return Comparison(tuple(self.found), tuple(self.other_views))


class Counting:
    """Says of every insert that so many rows were written."""

    shards = None

    def __init__(self, written: int) -> None:
        self._written = written

    def insert_json(self, _table: str, _rows: object) -> int:
        return self._written


class Bench:
    """A watched sink over memory."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.metrics, self.readiness = Metrics(), Readiness()
        self.readiness.fine("group")
        self.watch = SchemaWatch(self.metrics, self.readiness)
        self.sink = MemorySink()
        self.watched = WatchedSink(self.sink, self.watch, cast("ClickHouse", None))

    def look(self) -> None:
        self.watch.look(cast("ClickHouse", None))

    def write(self, offsets: Sequence[int] = (1,)) -> None:
        self.watched.write("sms_status", [record(offset) for offset in offsets])

    @property
    def rows(self) -> int:
        return len(self.sink.tables.get("sms_status", ()))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


def test_a_change_is_logged_once_and_so_is_its_end(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sinks")
    for found in ([], [], [VIEW_GONE], [VIEW_GONE], [VIEW_GONE, COLUMN_GONE], [], []):
        bench.database.found = found
        bench.look()
    column = "the table sms_status has no column price: run `routee-sinks schema`"
    view = f"the materialized view sms_inbox_to_status {MISSING}"
    assert caplog.messages == [view, view, column, "the schema is whole again"]


def test_while_all_is_there_nothing_is_looked_at(bench: Bench) -> None:
    for offset in range(10):
        bench.write([offset])
    assert (bench.rows, bench.database.looks) == (10, 0)


def test_a_missing_view_stops_inserts_until_it_is_back(bench: Bench) -> None:
    bench.database.found = [VIEW_GONE, COLUMN_GONE]
    bench.look()
    for _ in range(3):
        with pytest.raises(
            RetryableError, match=f"sms_inbox_to_status {MISSING}; the table sms_status has no column price"
        ):
            bench.write()
    assert (bench.rows, bench.sink.writes) == (0, 0)
    assert "; ".join(bench.readiness.reasons) == (
        f"schema: the materialized view sms_inbox_to_status {MISSING}; "
        "the table sms_status has no column price: run `routee-sinks schema`"
    )
    assert bench.metrics.registry.get_sample_value("routee_sinks_schema_differences") == 2
    bench.database.found = []
    bench.write()
    assert (bench.rows, bench.readiness.reasons) == (1, [])
    assert bench.metrics.registry.get_sample_value("routee_sinks_schema_differences") == 0


def test_a_missing_view_for_people_is_told_and_stops_nothing(bench: Bench) -> None:
    bench.database.found = [READING_VIEW_GONE]
    bench.look()
    bench.write()
    assert bench.rows == 1
    assert bench.readiness.reasons == [f"schema: the view messages {MISSING}"]


@pytest.mark.parametrize("error", [ShortError("wrote 20 of 60"), FatalError("ClickHouse says UNKNOWN_TABLE (60)")])
def test_an_insert_that_the_schema_may_have_stopped_makes_it_look_at_once(bench: Bench, error: Exception) -> None:
    bench.database.found = [VIEW_GONE]
    bench.sink.faults = [error]
    with pytest.raises(RetryableError, match="sms_inbox_to_status is not there"):
        bench.write()
    assert bench.readiness.reasons == [f"schema: the materialized view sms_inbox_to_status {MISSING}"]


@pytest.mark.parametrize("error", [ShortError("wrote 20 of 60"), FatalError("ClickHouse says UNKNOWN_TABLE (60)")])
def test_an_insert_that_failed_though_the_schema_is_whole_says_its_own_words(bench: Bench, error: Exception) -> None:
    """It may be a foreign view that has no table any more."""
    bench.sink.faults = [error]
    with pytest.raises(type(error), match=re.escape(str(error))):
        bench.write()
    assert bench.database.looks == 1


@pytest.mark.parametrize("error", [RetryableError("no answer"), PermanentError("a bad row")])
def test_an_error_that_is_not_about_the_schema_is_handed_on(bench: Bench, error: Exception) -> None:
    bench.sink.faults = [error]
    with pytest.raises(type(error)):
        bench.write()
    assert bench.database.looks == 0


def test_while_views_of_others_count_too_each_insert_is_followed_by_a_look(bench: Bench) -> None:
    """Their rows may stand for the rows that a missing view of ours does not pass on."""
    bench.database.other_views = ["to_totals"]
    bench.look()
    bench.write([1])
    assert bench.database.looks == 2
    bench.database.found = [VIEW_GONE]
    with pytest.raises(RetryableError, match="sms_inbox_to_status is not there"):
        bench.write([2])


@pytest.mark.parametrize(("written", "looks"), [(5, 0), (6, 1), (8, 1)])
def test_a_view_of_others_that_is_new_is_known_by_the_first_insert(
    database: Database, written: int, looks: int
) -> None:
    """Not a minute later: until then a view of ours may be dropped, and the new one would count in its place."""
    bench = Bench(database)
    clickhouse = cast("ClickHouse", Counting(written))
    sink = ClickHouseSink(clickhouse, bench.watch.note_more)
    watched = WatchedSink(sink, bench.watch, clickhouse)
    database.other_views = ["to_totals"]
    watched.write("sms_status", [record(1)])
    assert database.looks == looks
    database.found = [VIEW_GONE]
    if looks:
        with pytest.raises(RetryableError, match="sms_inbox_to_status is not there"):
            watched.write("sms_status", [record(2)])


def test_a_schema_of_a_newer_version_is_not_judged(bench: Bench) -> None:
    """While a cluster is upgraded the old sinks go on: each insert is still proven."""
    bench.database.error = SchemaError("the database has schema 0099, which this version does not know")
    bench.look()
    bench.write()
    assert (bench.rows, bench.readiness.reasons) == (1, [])


def test_a_database_that_does_not_answer_changes_nothing(bench: Bench) -> None:
    bench.database.found = [VIEW_GONE]
    bench.look()
    bench.database.error = RetryableError("ClickHouse says no answer")
    with pytest.raises(RetryableError, match="no answer"):
        bench.write()
    assert bench.readiness.reasons == [f"schema: the materialized view sms_inbox_to_status {MISSING}"]
    assert bench.rows == 0


@pytest.mark.parametrize("answer", [[], [()], [(1,), (1,)]], ids=["no row", "no column", "two rows"])
def test_a_page_that_answers_a_query_with_nothing_is_no_schema(answer: list[tuple[int, ...]]) -> None:
    """A proxy's empty 200: the look fails as at a database that is away, and is made again."""

    class Proxy(ClickHouse):
        def __init__(self) -> None:
            self.shards = None

        def rows(self, _sql: str, _parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
            return list(answer)

    metrics, readiness = Metrics(), Readiness()
    readiness.fine("group")
    with pytest.raises(RetryableError, match="answers a query with nothing"):
        SchemaWatch(metrics, readiness).look(Proxy())
    assert readiness.reasons == []


def test_it_looks_again_and_again_until_it_is_ended(bench: Bench) -> None:
    closed = threading.Event()

    class Connection:
        def close(self) -> None:
            closed.set()

    bench.database.error = RetryableError("away")
    end = bench.watch.look_again_and_again(lambda: cast("ClickHouse", Connection()), seconds=0.001)
    # Also of a sink that has nothing to write.
    eventually(lambda: bench.readiness.reasons == ["clickhouse: away"], 10)
    assert bench.database.looks
    bench.database.error, bench.database.found = None, [READING_VIEW_GONE]
    eventually(lambda: [reason[:7] for reason in bench.readiness.reasons] == ["schema:"], 10)
    bench.database.found = []
    eventually(lambda: not bench.readiness.reasons, 10)
    end()
    assert closed.is_set()


def test_partitions_are_those_of_the_sink(bench: Bench) -> None:
    partition = TopicPartition(TOPIC, 1)
    assert bench.watched.claim([partition]) == {partition: None}
    assert bench.sink.claimed == {partition}
    bench.watched.release([partition])
    assert bench.sink.claimed == set()
