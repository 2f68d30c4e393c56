"""
`routee-sinks clickhouse` as a process, between the real Kafka and the real engine, under faults.
"""

import signal
from collections.abc import Iterator

import orjson
import pytest

from sinks.clickhouse.client import ClickHouse
from sinks.settings import SinksSettings
from streams.contract.codec import encode
from streams.contract.records import SinkRejection
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import campaign, final, rejection, sms
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running, Sink, Wire
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def statuses(count: int, start: int = 0) -> list[tuple[int, bytes]]:
    """Return two revisions each of so many SMS, with the partitions they go to."""
    return [
        (number % PARTITIONS, encode(record))
        for number in range(start, start + count)
        for record in (sms(f"sms-{number:06d}"), final(f"sms-{number:06d}", "Delivered", revision=2))
    ]


def latest(tables: ClickHouse) -> dict[str, int]:
    return dict(tables.rows("SELECT sms_key, revision FROM sms"))


def history(tables: ClickHouse) -> set[tuple[str, int]]:
    return {(key, revision) for key, revision in tables.rows("SELECT sms_key, revision FROM sms_history")}


def revisions(count: int) -> dict[str, int]:
    return {f"sms-{number:06d}": 2 for number in range(count)}


def expect(tables: ClickHouse, count: int, seconds: float = 60) -> None:
    """Wait until the tables hold exactly the latest records and all records of so many SMS."""
    eventually(lambda: latest(tables) == revisions(count), seconds, every=0.2)
    every = {(key, revision) for key in revisions(count) for revision in (1, 2)}
    # The views of an insert are filled one after the other.
    eventually(lambda: history(tables) == every, seconds, every=0.2)


def wait_until_ready(sink: Sink) -> None:
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)


def test_every_topic_reaches_its_table(tables: ClickHouse, topics: Topics, running: Running) -> None:
    sink = running.start("clickhouse")
    topics.produce("sms.status", statuses(30))
    topics.produce("campaign.progress", [(0, encode(campaign("one"))), (0, encode(campaign("one", revision=2)))])
    topics.produce("callbacks.rejected", [(1, encode(rejection())), (2, encode(rejection(index=7)))])
    expect(tables, 30)
    eventually(lambda: tables.rows("SELECT campaign_tracking_id, revision FROM campaigns") == [("one", 2)], 60)
    eventually(lambda: tables.rows("SELECT count() FROM rejections") == [(2,)], 60)
    eventually(lambda: sink.metric("routee_sinks_lag_records") == 0, 60)
    assert sink.get("/readyz") == (200, "ready\n")
    assert sink.get("/livez")[0] == 200
    eventually(lambda: sink.metric("routee_sinks_rows_total") == 60 + 2 + 2)


def test_a_bad_row_is_kept_with_clickhouses_own_words_and_the_rest_is_written(
    tables: ClickHouse, topics: Topics, running: Running
) -> None:
    good = statuses(100)
    bad = [
        b"not json",
        b"[1]",
        b'{"sms_key":"x"',
        b"{}",
        encode(sms("x")).replace(b'"revision":1', b'"revision":"one"'),
        encode(sms("x")).replace(b'"is_final":false', b'"is_final":"perhaps"'),
        encode(sms("x")) + encode(sms("y")),
        encode(sms("x")) + b";" + encode(sms("y")),
        b'\xff{"sms_key":1}\xfe',
    ]
    records: list[tuple[int, bytes | None]] = [
        *good[:90],
        *[(0, value) for value in bad],
        (0, None),
        (1, b""),
        *good[90:],
    ]
    topics.produce("sms.status", records)
    sink = running.start("clickhouse")
    expect(tables, 100)
    eventually(lambda: sink.metric("routee_sinks_lag_records") == 0, 60)
    kept = [SinkRejection(**orjson.loads(value or b"")) for value in topics.everything("sinks.rejected").values()]
    assert sorted((found.value or found.value_base64 or "") for found in kept) == sorted(
        [*(value.decode() for value in bad[:-1]), "/3sic21zX2tleSI6MX3+"]
    )
    errors = {found.value: found.error for found in kept}
    assert errors["not json"] == errors[bad[-3].decode()] == "not one JSON object"
    assert "VIOLATED_CONSTRAINT" in errors["{}"]
    assert "(while reading the value of key revision)" in errors[bad[4].decode()]
    assert {(found.sink, found.table, found.topic) for found in kept} == {
        ("clickhouse", "sms_status", f"{topics.prefix}sms.status")
    }
    assert sink.metric("routee_sinks_rejected_rows_total") == len(bad)
    eventually(lambda: sink.metric("routee_sinks_empty_records_total") == 2)
    assert not any("perhaps" in str(line) for line in sink.lines)


def test_a_flood_of_bad_rows_ends_it_and_commits_nothing(tables: ClickHouse, topics: Topics, running: Running) -> None:
    del tables
    topics.produce("sms.status", [(0, b"garbage")] * 200)
    for _ in range(2):
        sink = running.start("clickhouse", SINKS_MAX_REJECTED_PER_MINUTE="50")
        assert sink.process.wait(60) == 1
        assert sink.messages[-1].startswith("more than SINKS_MAX_REJECTED_PER_MINUTE=50 rows were refused")


@pytest.fixture
def wire(settings: SinksSettings) -> Iterator[Wire]:
    strung = Wire(settings.clickhouse_url)
    yield strung
    strung.close()


def test_while_clickhouse_is_away_it_stays_a_member_and_then_goes_on(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    topics.produce("sms.status", statuses(50))
    expect(tables, 50)
    wire.cut()
    topics.produce("sms.status", statuses(50, 50))
    eventually(lambda: sink.get("/readyz") == (503, "store: ClickHouse says no answer\n"), 60)
    # Longer than a session: a member that does not poll or beat would be put out of the group.
    eventually(lambda: sink.metric("routee_sinks_retries_total") >= 6, 60)
    wire.mend()
    expect(tables, 100)
    wait_until_ready(sink)
    assert sum("partitions revoked" in message for message in sink.messages) <= 1
    assert sink.metric("routee_sinks_failed_commits_total") == 0


def test_killed_with_rows_that_clickhouse_does_not_have_it_reads_them_again(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    """Every committed row is written: the next sink begins with the first row that is not."""
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    topics.produce("sms.status", statuses(50))
    expect(tables, 50)
    wire.cut()
    topics.produce("sms.status", statuses(50, 50))
    eventually(lambda: sink.metric("routee_sinks_retries_total") >= 3, 60)
    sink.kill()
    wire.mend()
    running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    expect(tables, 100)


def test_a_database_that_was_lost_is_filled_again_once_the_group_is_deleted(
    tables: ClickHouse, topics: Topics, running: Running, settings: SinksSettings
) -> None:
    sink = running.start("clickhouse")
    topics.produce("sms.status", statuses(50))
    expect(tables, 50)
    assert sink.stop()[0] == 0
    tables.execute(f"DROP DATABASE `{settings.clickhouse_database}`")
    assert running.start("schema").process.wait(60) == 0
    topics.forget_commits("sinks-clickhouse")
    running.start("clickhouse")
    expect(tables, 50)


@pytest.mark.parametrize(
    "refusal",
    [(241, "MEMORY_LIMIT_EXCEEDED"), (242, "TABLE_IS_READ_ONLY"), (164, "READONLY")],
)
def test_while_clickhouse_refuses_for_now_the_rows_are_tried_again(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire, refusal: tuple[int, str]
) -> None:
    wire.refusal = refusal
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    topics.produce("sms.status", statuses(20))
    eventually(lambda: wire.refused >= 2, 60)
    assert sink.get("/readyz") == (503, f"store: ClickHouse says {refusal[1]} ({refusal[0]})\n")
    wire.refusal = None
    expect(tables, 20)
    assert sink.metric("routee_sinks_rejected_rows_total") == 0


SUMMARY = b'X-ClickHouse-Summary: {"read_rows":"6","written_rows":"%d"}\r\n'
PAGE = b"<html><title>Maintenance</title></html>"
BLOCK = (
    b"\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 241. DB::Exception: Memory limit exceeded. "
    b"(MEMORY_LIMIT_EXCEEDED)\n62 abcdefghijklmnop\r\n__exception__\r\n"
)


def ok(headers: bytes = b"", body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, len(body), body)


LIES = {
    "a maintenance page": (ok(b"Content-Type: text/html\r\n", PAGE), f"a text of {len(PAGE)} bytes"),
    "a page with a summary": (ok(SUMMARY % 10, PAGE), f"a text of {len(PAGE)} bytes"),
    "nothing": (ok(), "no header X-ClickHouse-Summary"),
    "no content": (b"HTTP/1.1 204 No Content\r\n%b\r\n" % (SUMMARY % 10), "HTTP status 204"),
    "a redirect": (b"HTTP/1.1 307 x\r\nLocation: /?query=SELECT+1\r\nContent-Length: 0\r\n\r\n", "HTTP status 307"),
    "see other": (b"HTTP/1.1 303 x\r\nLocation: /?query=SELECT+1\r\nContent-Length: 0\r\n\r\n", "HTTP status 303"),
    "an error page": (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 39\r\n\r\n" + PAGE, "HTTP status 502"),
    "an error without its header": (ok(b"", b"Code: 241. DB::Exception: x"), "a text of 27 bytes"),
    "an error about a row in a page": (ok(SUMMARY % 10, b"Code: 27. DB::Exception: x"), "a text of 26 bytes"),
    "an error after the answer began": (
        ok(b"X-ClickHouse-Exception-Tag: abcdefghijklmnop\r\n" + SUMMARY % 10, BLOCK),
        "MEMORY_LIMIT_EXCEEDED (241)",
    ),
    "an error in a header only": (ok(b"X-ClickHouse-Exception-Code: 209\r\n" + SUMMARY % 10), "SOCKET_TIMEOUT (209)"),
    "half an answer": (
        b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n5\r\nhel" % (SUMMARY % 10),
        "no answer",
    ),
    "less than its length": (b"HTTP/1.1 200 OK\r\n%bContent-Length: 5\r\n\r\nhel" % (SUMMARY % 10), "no answer"),
    "half a header": (b'HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {"written_rows":"10', "written_rows as one number"),
    "no row": (ok(SUMMARY % 0), "wrote 0 of 10 rows for 2 inserted into sms_inbox"),
    "the rows of the inbox alone": (ok(SUMMARY % 2), "wrote 2 of 10 rows for 2 inserted into sms_inbox"),
    "the rows of one table": (ok(SUMMARY % 4), "wrote 4 of 10 rows for 2 inserted into sms_inbox"),
    "two summaries": (ok(SUMMARY % 10 + SUMMARY % 10), "written_rows as one number"),
    "not HTTP": (b"OK\r\n\r\n", "no answer"),
    "an empty line": (b"", "no answer"),
}


@pytest.mark.timeout(400)
def test_only_clickhouses_own_answer_counts(tables: ClickHouse, topics: Topics, running: Running, wire: Wire) -> None:
    """Each of these answers is tried again, told with its reason, and acknowledges no row."""
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url, SINKS_BATCH_SECONDS="0.05")
    wait_until_ready(sink)
    for number, (name, (lie, reason)) in enumerate(LIES.items()):
        refused = wire.refused
        wire.lie = lie
        topics.produce("sms.status", statuses(1, number))
        eventually(lambda refused=refused: wire.refused >= refused + 2, 60)  # type: ignore[misc]
        status, told = sink.get("/readyz")
        assert (status, reason in told, "store: " in told) == (503, True, True), (name, told)
        assert sink.metric("routee_sinks_rows_total") == 2 * number, name
        wire.lie = None
        wait_until_ready(sink)  # once the row is written
    expect(tables, len(LIES))
    assert sink.metric("routee_sinks_retries_total") >= 2 * len(LIES)
    assert sink.metric("routee_sinks_rejected_rows_total") == 0
    assert not any("Maintenance" in str(line) for line in sink.lines)


def test_killed_while_an_answer_proves_nothing_it_reads_the_rows_again(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    """They were not committed."""
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    wait_until_ready(sink)
    wire.lie = LIES["nothing"][0]
    topics.produce("sms.status", statuses(20))
    eventually(lambda: wire.refused >= 2, 60)
    sink.kill()
    wire.lie = None
    running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    expect(tables, 20)


def test_a_proxy_that_strips_the_summary_is_named(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    wait_until_ready(sink)
    wire.strip = b"X-ClickHouse-Summary"
    topics.produce("sms.status", statuses(20))
    eventually(lambda: sink.metric("routee_sinks_retries_total") >= 2, 60)
    reason = (
        "the answer to an INSERT has no header X-ClickHouse-Summary, which every ClickHouse sends: "
        "have the proxy at CLICKHOUSE_URL pass it on"
    )
    assert sink.get("/readyz") == (503, f"store: {reason}\n")
    assert sink.metric("routee_sinks_rows_total") == 0
    wire.strip = None
    expect(tables, 20)


def test_a_view_that_is_dropped_loses_no_row_and_is_mended_by_schema(
    tables: ClickHouse, topics: Topics, running: Running
) -> None:
    sink = running.start("clickhouse")
    topics.produce("sms.status", statuses(10))
    expect(tables, 10)
    tables.execute("DROP VIEW sms_inbox_to_status")
    topics.produce("sms.status", statuses(10, 10))
    gone = (
        "the materialized view sms_inbox_to_status is not there, or CLICKHOUSE_USER may not see it: "
        "run `routee-sinks schema`"
    )
    eventually(lambda: sink.get("/readyz") == (503, f"schema: {gone}\nstore: {gone}\n"), 60)
    assert sink.metric("routee_sinks_rows_total") == 20
    assert sink.metric("routee_sinks_schema_differences") == 1
    check, second = running.start("check"), running.start("clickhouse")
    assert check.process.wait(60) == 1
    assert [line for line in check.text if not line.startswith("warning: ")] == [gone]
    assert (second.process.wait(60), second.messages[-1]) == (1, gone)
    schema = running.start("schema")
    assert schema.process.wait(60) == 0
    assert schema.said("the materialized view sms_inbox_to_status is made again")
    expect(tables, 20)
    wait_until_ready(sink)
    assert running.start("check").process.wait(60) == 0


@pytest.mark.parametrize("damage", ["DROP TABLE sms_status_history", "DETACH TABLE sms_status_history"])
def test_a_table_that_is_gone_is_waited_for(tables: ClickHouse, topics: Topics, running: Running, damage: str) -> None:
    sink = running.start("clickhouse")
    wait_until_ready(sink)
    tables.execute(damage)
    topics.produce("sms.status", statuses(10))
    eventually(lambda: "the table sms_status_history is not there" in sink.get("/readyz")[1], 60)
    assert running.start("schema").process.wait(60) == 0
    expect(tables, 10)
    assert sink.process.poll() is None


def test_a_foreign_view_that_has_no_table_ends_it(tables: ClickHouse, topics: Topics, running: Running) -> None:
    """The schema is whole: only a person can tell."""
    tables.execute("CREATE TABLE theirs AS sms_status ENGINE = MergeTree ORDER BY sms_key")
    tables.execute("CREATE MATERIALIZED VIEW to_theirs TO theirs AS SELECT * FROM sms_inbox")
    tables.execute("DROP TABLE theirs")
    topics.produce("sms.status", statuses(1))
    sink = running.start("clickhouse")
    assert sink.process.wait(60) == 1
    assert sink.messages[-1] == "ClickHouse says UNKNOWN_TABLE (60)"


def test_a_connection_that_is_cut_in_the_middle_of_an_insert_loses_nothing(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    wait_until_ready(sink)
    wire.cut_after = 100_000
    topics.produce("sms.status", statuses(400))
    eventually(lambda: sink.metric("routee_sinks_retries_total") >= 2, 60)
    wire.cut_after = None
    expect(tables, 400)


def test_an_answer_that_is_lost_doubles_nothing(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    """The rows are in, and the sink cannot know: it inserts them again."""
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    wait_until_ready(sink)
    wire.swallow = True
    topics.produce("sms.status", statuses(100))
    eventually(lambda: wire.swallowed >= 2, 60)
    wire.swallow = False
    expect(tables, 100)
    assert tables.rows("SELECT count() FROM sms_history") == [(200,)]


def test_a_slow_clickhouse_is_waited_for_with_two_batches_in_memory(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url, SINKS_BATCH_ROWS="50")
    wait_until_ready(sink)
    wire.delay = 1.5
    topics.produce("sms.status", statuses(100))
    eventually(lambda: sink.metric("routee_sinks_rows_total") >= 100, 60)
    assert sink.get("/readyz") == (200, "ready\n")
    wire.delay = 0.0
    expect(tables, 100)
    assert sink.metric("routee_sinks_retries_total") == 0
    assert sum("partitions revoked" in message for message in sink.messages) <= 1


def test_too_many_parts_in_the_real_engine_are_waited_for(tables: ClickHouse, topics: Topics, running: Running) -> None:
    sink = running.start("clickhouse")
    topics.produce("sms.status", statuses(1))
    expect(tables, 1)
    tables.execute("ALTER TABLE sms_status MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 0")
    topics.produce("sms.status", statuses(9, 1))
    eventually(lambda: "TOO_MANY_PARTS" in sink.get("/readyz")[1], 60)
    tables.execute("ALTER TABLE sms_status RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
    expect(tables, 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_writes_what_it_has_and_leaves_at_once(
    tables: ClickHouse, topics: Topics, running: Running, number: signal.Signals
) -> None:
    sink = running.start("clickhouse", SINKS_BATCH_SECONDS="600")
    wait_until_ready(sink)
    topics.produce("sms.status", statuses(40))
    eventually(lambda: sink.metric("routee_sinks_lag_records") == 80, 60)
    code, seconds = sink.stop(number)
    assert (code, seconds < 10) == (0, True)
    expect(tables, 40, seconds=0)
    successor = running.start("clickhouse")
    topics.produce("sms.status", statuses(1, 40))
    expect(tables, 41)
    eventually(lambda: successor.metric("routee_sinks_rows_total") == 2)


def test_asked_to_stop_while_clickhouse_is_away_it_stops_all_the_same(
    tables: ClickHouse, topics: Topics, running: Running, wire: Wire
) -> None:
    sink = running.start("clickhouse", CLICKHOUSE_URL=wire.url)
    wait_until_ready(sink)
    wire.cut()
    topics.produce("sms.status", statuses(20))
    eventually(lambda: sink.metric("routee_sinks_retries_total") >= 1, 60)
    code, seconds = sink.stop()
    assert (code, seconds < 10) == (0, True)
    running.start("clickhouse")
    expect(tables, 20)


def test_two_processes_share_the_work(tables: ClickHouse, topics: Topics, running: Running) -> None:
    sinks = [running.start("clickhouse"), running.start("clickhouse")]
    for sink in sinks:
        wait_until_ready(sink)
    topics.produce("sms.status", statuses(300))
    expect(tables, 300)
    topics.produce("sms.status", statuses(300, 300))
    sinks[0].stop()
    expect(tables, 600)


def test_it_does_not_start_without_the_schema(settings: SinksSettings, topics: Topics, running: Running) -> None:
    del settings, topics
    sink = running.start("clickhouse", CLICKHOUSE_DATABASE="default")
    assert sink.process.wait(60) == 1
    assert "run `routee-sinks schema`" in sink.messages[-1]


def test_it_does_not_start_when_topics_differ(tables: ClickHouse, topics: Topics, running: Running) -> None:
    del tables, topics
    sink = running.start("clickhouse", KAFKA_PARTITIONS=str(PARTITIONS + 1))
    assert sink.process.wait(60) == 1
    assert f"has {PARTITIONS} partitions, not {PARTITIONS + 1}: set KAFKA_PARTITIONS={PARTITIONS}" in sink.messages[-1]
