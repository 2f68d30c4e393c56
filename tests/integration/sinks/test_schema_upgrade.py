"""
A database of 0.1.0 under `routee-sinks schema`: its rows, the sink that inserts meanwhile, and runs that are killed.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Final

import orjson
import pytest

from sinks.cli import run_schema
from sinks.clickhouse import sink as inserting
from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.differences import Comparison
from sinks.clickhouse.migrate import look, migrate
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.sink import ClickHouseSink
from sinks.errors import SinksError
from sinks.settings import SinksSettings
from sinks.source import Record
from streams.contract.codec import encode
from streams.contract.records import SmsStatus
from tests.behaviour.sinks.records import at, final, sms
from tests.integration.sinks.older import apply_until
from tests.support.markdown import ROOT
from tests.support.wait import eventually

pytestmark = pytest.mark.clickhouse

LAST_FILE_OF_0_1_0: Final = 6
BEFORE: Final = 9
"""The last file before sms_status is made anew."""
WITHOUT_SENDING_AT: Final = 12
"""The last file before sms_status has `sending_at`."""
WITH_ITS_DEFAULT: Final = 22
"""The file that gives `sending_at` a default."""
_PRELOADED: Final = """
INSERT INTO sms_inbox (sms_key, message_id, part, parts, status, revision, first_received_at, received_at)
SELECT concat(['sms-', 'old-'][1 + number % 2], toString(intDiv(number, 2))) AS sms_key, concat('message-of-', sms_key),
    1, 1, 'Queued', 1, toDateTime64('2026-11-22 09:00:00', 3, 'UTC') + toIntervalMillisecond(intDiv(number, 2)),
    now64(3)
FROM numbers({rows})
"""


def of_0_1_0(record: SmsStatus) -> bytes:
    """Return the record without the fields that came later."""
    fields: Mapping[str, Any] = orjson.loads(encode(record))
    later = {name for name in fields if name.startswith("message_") and name != "message_id"} | {"generation"}
    return orjson.dumps({name: value for name, value in fields.items() if name not in later})


def test_a_database_of_0_1_0_keeps_its_sms_and_messages(empty: ClickHouse, settings: SinksSettings) -> None:
    """An SMS that it had twice has the row of the higher revision alone."""
    apply_until(empty, LAST_FILE_OF_0_1_0)
    two: dict[str, Any] = {"message_id": "two", "parts": 2}
    records = [
        *(sms("a", **two, revision=1), final("a", "Delivered", **two), final("b", "Failed", **two, part=2)),
        *(sms("c", message_id="half", parts=3), final("d", "Delivered")),
    ]
    empty.insert_json("sms_inbox", (of_0_1_0(record) + b"\n" for record in records))
    queries = (
        "SELECT * FROM messages ORDER BY message_id",
        "SELECT * FROM missing_parts",
        "SELECT * FROM sms ORDER BY sms_key",
        "SELECT * FROM sms_history ORDER BY ALL",
    )
    before = [empty.rows(query) for query in queries]
    twice = [sms("e"), final("e", "Undelivered"), sms("e", first_received_at=at(100_000))]
    empty.insert_json("sms_inbox", (of_0_1_0(record) + b"\n" for record in twice))
    empty.execute("ALTER TABLE sms_status ADD COLUMN note String")
    assert len(empty.rows("SELECT * FROM sms WHERE sms_key = 'e'")) == 2

    run_schema(settings)
    assert look(empty) == Comparison()
    after = [[row for row in empty.rows(query) if "message-of-e" not in row] for query in queries]
    for old, new in zip(before, after, strict=True):
        assert [row[: len(old[0])] for row in new] == old
    assert empty.rows("SELECT status, revision FROM sms WHERE sms_key = 'e'") == [("Undelivered", 3)]
    assert empty.rows("SELECT count() FROM sms_history WHERE sms_key = 'e'") == [(3,)]

    newer = {
        "generation": 3,
        "message_status": "Sent",
        "message_parts": 3,
        "message_parts_seen": 1,
        "message_revision": 2,
    }
    empty.insert_json(
        "sms_inbox", (line for line in [encode(sms("c", message_id="half", parts=3, revision=2, **newer))])
    )
    assert empty.rows("SELECT status, revision FROM messages WHERE message_id = 'half'") == [("Sent", 2)]
    assert empty.rows("SELECT revision FROM sms WHERE sms_key = 'c'") == [(2,)]


def test_the_next_run_leaves_what_an_interrupted_one_has_done(
    empty: ClickHouse, settings: SinksSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The former view would write the generation 0 into the sort key of the history."""
    apply_until(empty, BEFORE)
    done = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'sms_inbox_to_lives'"
    next(limit for limit in count(1) if _migrated(empty, limit, monkeypatch) or empty.rows(done) == [(1,)])
    assert "sms_inbox_to_history" in {it.thing.name for it in look(empty).differences}
    caplog.clear()
    assert run_schema(settings) == 0
    assert look(empty) == Comparison()
    assert [it.getMessage() for it in caplog.records if it.levelname == "WARNING"] == []


@pytest.mark.parametrize("stop", [WITHOUT_SENDING_AT + 1, WITH_ITS_DEFAULT - 1])
def test_sms_that_came_while_sending_at_had_no_default_get_theirs(
    empty: ClickHouse, settings: SinksSettings, stop: int
) -> None:
    """Kept as NULL they would be counted by their last status: late in the curve, and young among the stuck."""

    def insert(key: str, seconds: int) -> None:
        record = orjson.loads(encode(final(key, "Delivered", queued_at=at(seconds), status_updated_at=at(7_200))))
        del record["sending_at"], record["sent_from"]
        empty.insert_json("sms_inbox", (line for line in [orjson.dumps(record)]))

    apply_until(empty, WITHOUT_SENDING_AT)
    insert("before", 0)
    apply_until(empty, WITHOUT_SENDING_AT + 1)
    insert("between", 600)
    empty.execute("OPTIMIZE TABLE sms_status FINAL")
    apply_until(empty, stop)
    insert("later", 900)
    run_schema(settings)
    seconds = {"before": 0, "between": 600, "later": 900}
    known = [(key, at(after).replace(tzinfo=None)) for key, after in seconds.items()]
    eventually(lambda: empty.rows("SELECT sms_key, sending_at FROM sms ORDER BY sms_key") == known)
    assert empty.rows("SELECT minutes, sent FROM campaign_curve WHERE minutes < 60") == [(1, 1), (5, 1), (15, 3)]


class KilledError(BaseException):
    """The end of a run, after one of its statements."""


class _Sink:
    """Inserts as a sink does, and again the rows that were not acknowledged, for the length of the block."""

    def __init__(self, settings: SinksSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._connection = connect(settings)
        with monkeypatch.context() as patch:
            # The one that runs during an upgrade is that of the version before.
            patch.setattr(inserting, "known_migrations", lambda: known_migrations()[:BEFORE])
            self._sink = ClickHouseSink(self._connection)
        self._ended = threading.Event()
        self.acknowledged = 0

    @contextmanager
    def at_work(self) -> Iterator["_Sink"]:
        thread = threading.Thread(target=self._insert)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()

    def _insert(self) -> None:
        while not self._ended.wait(0.01):
            rows = [Record("t", 0, 0, 0, encode(record)) for record in records_of(self.acknowledged)]
            with suppress(SinksError):
                self._sink.write("sms_status", rows)
                self.acknowledged += 1
        self._connection.close()


def records_of(number: int) -> list[SmsStatus]:
    """Return a change of an SMS that was there, a new SMS, and one that was there and begins anew."""
    began = at(number / 1000)
    return [
        sms(f"sms-{number}", revision=2, first_received_at=began, generation=1, **_told(f"sms-{number}", 2)),
        sms(f"new-{number}", first_received_at=began, generation=2, **_told(f"new-{number}", 1)),
        sms(f"old-{number}", first_received_at=at(90_000), generation=3, **_told(f"old-{number}", 1)),
    ]


def _told(key: str, revision: int) -> dict[str, Any]:
    return {
        "message_id": f"message-of-{key}",
        "message_status": "Sent",
        "message_revision": revision,
        "message_parts": 1,
        "message_parts_seen": 1,
    }


def require_all(clickhouse: ClickHouse, preloaded: int, inserted: int) -> None:
    """Require every row that was there and every row that was acknowledged, each key once and in its newest state."""
    assert look(clickhouse) == Comparison()
    assert inserted > 0
    names = {f"{kind}-{number}" for number in range(inserted) for kind in ("sms", "new", "old")}
    for view, key in (("sms", "sms_key"), ("messages", "substring(message_id, 12)")):
        ((rows, keys),) = clickhouse.rows(f"SELECT count(), uniqExact({key}) FROM {view}")  # noqa: S608 - names of ours
        assert rows == keys
        # The last one may be in the tables without its acknowledgement.
        assert rows in {preloaded + inserted, preloaded + inserted + 1}
        newest = f"SELECT {key} FROM {view} WHERE generation > 0"  # noqa: S608 - names of ours
        assert {name for (name,) in clickhouse.rows(newest)} >= names
    changes = clickhouse.rows("SELECT count() FROM sms_history")[0][0]
    assert changes in {preloaded + 3 * inserted, preloaded + 3 * inserted + 3}
    tables = {table for (table,) in clickhouse.rows("SHOW TABLES")}
    assert not {table for table in tables if table.endswith("_next")}


def test_killed_after_each_statement_while_a_sink_inserts_it_loses_no_row_and_doubles_none(
    empty: ClickHouse, settings: SinksSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run begins again, and comes one statement further than the one before it."""
    apply_until(empty, BEFORE)
    rows = 20_000
    empty.execute(_PRELOADED.format(rows=rows))
    with _Sink(settings, monkeypatch).at_work() as sink:
        limit = next(limit for limit in count(1) if _migrated(empty, limit, monkeypatch))
        inserted = sink.acknowledged
        eventually(lambda: sink.acknowledged > inserted, 60)
    assert limit > 20
    require_all(empty, rows, sink.acknowledged)


def _migrated(clickhouse: ClickHouse, limit: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Migrate, and return whether it came to its end within so many statements."""
    execute, done = ClickHouse.execute, count(1)

    def counted(self: ClickHouse, sql: str, parameters: dict[str, Any] | None = None) -> None:
        execute(self, sql, parameters)
        if next(done) == limit:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ClickHouse, "execute", counted)
        try:
            migrate(clickhouse, None)
        except KilledError:
            return False
        return True


def is_copied(found: list[tuple[Any, ...]], wanted: int) -> bool:
    """Tell whether the table that takes the place of another has so many rows."""
    return bool(found) and (found[0][0] or 0) >= wanted


@pytest.mark.parametrize(
    ("rows", "kills"),
    [(50_000, 2), pytest.param(10_000_000, 20, marks=[pytest.mark.full, pytest.mark.timeout(7_200)])],
)
def test_killed_at_any_moment_while_a_sink_inserts_it_loses_no_row_and_doubles_none(
    empty: ClickHouse, settings: SinksSettings, monkeypatch: pytest.MonkeyPatch, rows: int, kills: int
) -> None:
    """By SIGKILL, also in the middle of a statement, which ClickHouse goes on with."""
    apply_until(empty, BEFORE)
    for first in range(0, rows, 500_000):
        some = min(500_000, rows - first)
        empty.execute(_PRELOADED.format(rows=some).replace("numbers(", f"numbers({first}, "))
    command = [sys.executable, "-m", "sinks", "schema"]
    environment = {
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CLICKHOUSE_USER": settings.clickhouse_user,
        "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "PYTHONPATH": str(ROOT),
        "CLICKHOUSE_DATABASE": settings.clickhouse_database,
    }
    copied = "SELECT total_rows FROM system.tables WHERE database = currentDatabase() AND name = 'sms_status_next'"
    killed = 0
    with _Sink(settings, monkeypatch).at_work() as sink:
        for kill in range(kills):
            # Later and later: from the first copied rows to the last ones.
            wanted = rows * kill // kills
            with subprocess.Popen(command, env=environment, cwd=ROOT) as run:
                eventually(lambda: run.poll() is not None or is_copied(empty.rows(copied), wanted), 600, every=0.1)  # noqa: B023
                run.send_signal(signal.SIGKILL)
            killed += run.returncode == -signal.SIGKILL
            assert run.returncode in {0, -signal.SIGKILL}
        assert killed >= kills // 2
        began = time.monotonic()
        assert run_schema(settings) == 0
        print(f"{rows:,} rows in {(time.monotonic() - began) / 60:.1f} minutes")  # noqa: T201 - what it is for
        inserted = sink.acknowledged
        eventually(lambda: sink.acknowledged > inserted, 60)
    require_all(empty, rows, sink.acknowledged)
