import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from sandbox.clickhouse.compression import decode_blocks, encode_blocks
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.errors import PortTakenError
from sandbox.ports import free_port

pytestmark = pytest.mark.clickhouse


def connect(server: ClickHouseServer, **options: Any) -> Client:  # noqa: ANN401 - as the client takes them
    address = urlsplit(server.url)
    given = {"username": server.user, "password": server.password, **options}
    return clickhouse_connect.get_client(host=address.hostname, port=address.port, **given)


@pytest.fixture
def client(clickhouse: ClickHouseServer, database: str) -> Iterator[Client]:
    client = connect(clickhouse)
    client.command(f"CREATE DATABASE {database}")
    client.database = database
    yield client
    client.command(f"DROP DATABASE {database}")
    client.close()


class Http:
    """Requests as curl would send them."""

    def __init__(self, server: ClickHouseServer) -> None:
        address = urlsplit(server.url)
        self._host, self._port = str(address.hostname), address.port
        self._credentials = {"X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password}

    def send(
        self,
        body: bytes | str = b"",
        *,
        method: str = "POST",
        path: str = "/",
        headers: dict[str, str] | None = None,
        **parameters: str,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        with closing(http.client.HTTPConnection(self._host, self._port, timeout=30)) as connection:
            connection.request(method, target, body, {**self._credentials, **(headers or {})})
            answer = connection.getresponse()
            return answer, answer.read()


@pytest.fixture
def http_client(clickhouse: ClickHouseServer) -> Http:
    return Http(clickhouse)


def test_it_is_the_real_engine(client: Client) -> None:
    major, *_ = str(client.server_version).split(".")
    assert int(major) >= 26
    assert client.query("SELECT uniqExact(number) FROM numbers(1000)").result_rows == [(1000,)]


def test_nothing_is_compiled_for_a_few_rows(client: Client) -> None:
    names = ["compile_expressions", "compile_aggregate_expressions", "compile_sort_description"]
    found = client.query(
        "SELECT name, value FROM system.settings WHERE name IN {names:Array(String)}", {"names": names}
    )
    assert set(found.result_rows) == {(name, "0") for name in names}


@pytest.mark.parametrize("compress", [False, True, "lz4", "zstd", "gzip"])
def test_rows_go_in_and_come_out_in_every_compression(clickhouse: ClickHouseServer, compress: object) -> None:
    with connect(clickhouse, compress=compress) as client:
        client.command("CREATE TEMPORARY TABLE t (id UInt64, price Decimal(18,8), counts Map(String, UInt64))")
        rows = [[number, Decimal("0.0384") * number, {"Sent": number}] for number in range(1000)]
        assert client.insert("t", rows, column_names=["id", "price", "counts"]).written_rows == 1000
        assert client.query("SELECT * FROM t ORDER BY id").result_rows == [tuple(row) for row in rows]


def test_rows_in_a_text_format_are_inserted_and_counted(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    rows = "".join(json.dumps({"a": number, "b": "\u2603"}) + "\n" for number in range(5000)).encode()
    summary = client.raw_insert("t", ["a", "b"], rows, fmt="JSONEachRow", settings={"async_insert": 0})
    assert summary.written_rows == 5000
    assert client.query("SELECT count(), any(b) FROM t").result_rows == [(5000, "\u2603")]


def test_the_summary_counts_the_rows_that_views_pass_on(client: Client, http_client: Http) -> None:
    """As a server does: the rows of the table, and those of each table that a materialized view fills from it."""
    client.command("CREATE TABLE one (a UInt64) ENGINE = ReplacingMergeTree ORDER BY a")
    client.command("CREATE TABLE two (a UInt64) ENGINE = MergeTree ORDER BY a")
    client.command("CREATE TABLE inbox (a UInt64) ENGINE = Null")

    def written() -> int:
        answer, body = http_client.send(
            b'{"a":7}\n' * 10,
            query="INSERT INTO inbox FORMAT JSONEachRow",
            database=str(client.database),
            wait_end_of_query="1",
            send_progress_in_http_headers="1",
            http_headers_progress_interval_ms="55000",
        )
        assert (answer.status, body) == (200, b"")
        return int(json.loads(str(answer.getheader("X-ClickHouse-Summary")))["written_rows"])

    assert written() == 10
    client.command("CREATE MATERIALIZED VIEW to_one TO one AS SELECT * FROM inbox")
    client.command("CREATE MATERIALIZED VIEW to_two TO two AS SELECT * FROM inbox")
    assert written() == 30
    client.command("CREATE MATERIALIZED VIEW to_two_again TO two AS SELECT * FROM inbox WHERE a != 7")
    assert written() == 30
    client.command("DROP VIEW to_one")
    assert written() == 20


def test_every_answer_has_a_tag_of_its_own_and_a_summary(http_client: Http) -> None:
    answers = [http_client.send(query)[0] for query in ("SELECT 1", "SELECT 1", "SELECT nope")]
    tags = {str(answer.getheader("X-ClickHouse-Exception-Tag")) for answer in answers}
    assert len(tags) == 3
    assert all(len(tag) == 16 for tag in tags)
    summaries = [json.loads(str(answer.getheader("X-ClickHouse-Summary"))) for answer in answers]
    assert [summary["written_rows"] for summary in summaries] == ["0"] * 3


def test_parameters_are_bound_and_never_pasted(client: Client) -> None:
    answer = client.query("SELECT {n:UInt32} + 1, {s:String}", parameters={"n": 41, "s": "it's\ta\\b"})
    assert answer.result_rows == [(42, "it's\ta\\b")]


def test_a_result_as_arrow_or_data_frame(client: Client) -> None:
    assert client.query_arrow("SELECT number FROM numbers(10)").shape == (10, 1)
    assert client.query_df("SELECT number FROM numbers(10)").shape == (10, 1)
    assert client.query("SELECT number FROM numbers(0)").result_rows == []


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT nope", 47),
        ("SELECT * FROM nope", 60),
        ("SELEKT", 62),
        ("SELECT * FROM nodb.t", 81),
        ("CREATE TABLE t (a UInt8) ENGINE = Kafka('b', 't', 'g', 'CSV')", 48),
        ("SELECT 1 SETTINGS no_such_setting = 1", 115),
    ],
)
def test_errors_have_the_servers_codes(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError, match=f"code: {code}, "):
        client.query(sql)


def test_a_failed_insert_writes_nothing_and_leaves_the_session_usable(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DatabaseError, match="code: 27, "):
        client.raw_insert("t", ["a"], b'{"a": 1}\n{"a": "x"}\n', fmt="JSONEachRow")
    with pytest.raises(DatabaseError, match="code: 60, "):
        client.raw_insert("nope", ["a"], b'{"a": 1}\n', fmt="JSONEachRow")
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


@pytest.mark.parametrize(("user", "password"), [("default", "wrong"), ("default", ""), ("other", "x")])
def test_a_wrong_password_is_refused_as_the_server_does(clickhouse: ClickHouseServer, user: str, password: str) -> None:
    with pytest.raises(DatabaseError, match=r"code: 516, .*AUTHENTICATION_FAILED"):
        connect(clickhouse, username=user, password=password)


def test_a_session_keeps_temporary_tables_and_its_own_settings(client: Client) -> None:
    threads = "SELECT getSetting('max_threads')"
    client.command("SET max_threads = 3")
    client.command("CREATE TEMPORARY TABLE t AS SELECT 1 AS a")
    assert client.query(threads, settings={"max_threads": 2}).result_rows == [(2,)]
    assert client.query(threads).result_rows == [(3,)]
    assert client.query("SELECT a FROM t").result_rows == [(1,)]


def test_one_session_runs_one_query_at_a_time(clickhouse: ClickHouseServer) -> None:
    answers: list[str] = []

    def ask(sql: str) -> None:
        answers.append(Http(clickhouse).send(sql, session_id="one")[1].decode())

    # The second of two queries is refused, also when it is the slow one.
    slow = threading.Thread(target=ask, args=("SELECT sleep(1)",))
    slow.start()
    while slow.is_alive():
        ask("SELECT 1")
    assert any("SESSION_IS_LOCKED" in answer for answer in answers)
    assert Http(clickhouse).send("SELECT 1", session_id="one")[1] == b"1\n"


def test_a_session_that_has_to_exist_is_not_begun(http_client: Http) -> None:
    answer, body = http_client.send("SELECT 1", session_id="new", session_check="1")
    assert answer.status == 404
    assert b"SESSION_NOT_FOUND" in body


def test_settings_of_one_request_do_not_reach_the_next(http_client: Http) -> None:
    assert http_client.send("SELECT getSetting('max_threads')", max_threads="3")[1] == b"3\n"
    assert http_client.send("SELECT getSetting('max_threads')", max_threads="5")[1] == b"5\n"
    assert http_client.send("SELECT changed FROM system.settings WHERE name = 'max_threads'")[1] == b"0\n"


def test_what_people_type_at_curl_works(http_client: Http, database: str) -> None:
    assert http_client.send(method="GET", path="/ping")[1] == b"Ok.\n"
    assert http_client.send(method="GET", path="/")[1] == b"Ok.\n"
    assert http_client.send(method="GET", query="SELECT 1 AS a FORMAT JSONEachRow")[1] == b'{"a":1}\n'
    http_client.send(f"CREATE DATABASE {database}")
    http_client.send("CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a", database=database)
    http_client.send("INSERT INTO t VALUES (1, 'x')", database=database)
    http_client.send("2,y\n3,z\n", query="INSERT INTO t FORMAT CSV", database=database)
    answer, body = http_client.send("SELECT * FROM t ORDER BY a", database=database, default_format="CSV")
    assert body == b'1,"x"\n2,"y"\n3,"z"\n'
    assert answer.headers["X-ClickHouse-Format"] == "CSV"
    assert http_client.send(method="GET", query=f"DROP DATABASE {database}")[0].status == 403
    assert http_client.send(f"DROP DATABASE {database}")[0].status == 200


def test_answers_are_compressed_when_asked(http_client: Http) -> None:
    plain = http_client.send("SELECT number FROM numbers(1000)")[1]
    for encoding in ("gzip", "zstd"):
        answer, body = http_client.send(
            "SELECT number FROM numbers(1000)", headers={"Accept-Encoding": encoding}, enable_http_compression="1"
        )
        assert answer.headers["Content-Encoding"] == encoding
        assert len(body) < len(plain)
    assert decode_blocks(http_client.send("SELECT number FROM numbers(1000)", compress="1")[1]) == plain
    assert http_client.send(encode_blocks(b"SELECT 1"), decompress="1")[1] == b"1\n"


def test_the_data_folder_belongs_to_one_process(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path, free_port())
    server.start()
    command = (sys.executable, "-m", "sandbox.clickhouse", "--port", "0", "--path", str(tmp_path / "data"))
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    server.stop()
    assert second.returncode == 1
    assert "can not be opened (is another process using it?)" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_one_line_with_the_variable(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    port = urlsplit(clickhouse.url).port or 0
    with pytest.raises(PortTakenError, match=f"port {port} is not free .*SANDBOX_CLICKHOUSE_PORT"):
        ClickHouseServer(tmp_path, port).start()


def test_it_stops_at_once_even_in_the_middle_of_a_query(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path, free_port())
    server.start()
    query = threading.Thread(
        target=_ignoring_a_cut, args=(server, "SELECT sleep(3) FROM numbers(3) SETTINGS max_block_size = 1")
    )
    query.start()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 3
    assert server.process.exit_code == 0
    query.join()


def test_inserts_that_were_answered_are_there_after_a_kill(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path, free_port())
    server.start()
    http_client = Http(server)
    http_client.send("CREATE TABLE t (batch UInt64, n UInt64) ENGINE = MergeTree ORDER BY batch")
    answered: set[int] = set()

    def insert() -> None:
        for batch in range(10_000):
            rows = "".join(f"{batch},{number}\n" for number in range(500))
            try:
                answer, _ = http_client.send(rows, query="INSERT INTO t FORMAT CSV")
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 200:
                answered.add(batch)
                if len(answered) == 20:
                    server.process.kill()

    inserting = threading.Thread(target=insert)
    inserting.start()
    inserting.join()
    server.start()
    found = Http(server).send("SELECT batch, count() FROM t GROUP BY batch")[1].decode()
    counts = {int(batch): int(count) for batch, count in (line.split("\t") for line in found.splitlines())}
    server.stop()
    assert len(answered) >= 20
    assert answered <= set(counts)
    assert set(counts.values()) == {500}


def _ignoring_a_cut(server: ClickHouseServer, sql: str) -> None:
    try:
        Http(server).send(sql)
    except (OSError, http.client.HTTPException):
        return
