"""
The sandbox's ClickHouse on a developer's machine: no web page is answered, and SQL reaches no file, network or program.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from sandbox.clickhouse.confinement import _LEAST_VERSION, _WITH_NETWORK, _version
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.ports import free_port

pytestmark = pytest.mark.clickhouse
needs_landlock = pytest.mark.skipif(_version() < _LEAST_VERSION, reason="needs Landlock of Linux 5.19 or newer")
DENIED = "ACCESS_DENIED"
CONSTRAINT = "SETTING_CONSTRAINT_VIOLATION"
MERGE_TREE = "(s String) ENGINE = MergeTree ORDER BY s"
DICTIONARY = "d (k UInt64, v String) PRIMARY KEY k LAYOUT(FLAT()) LIFETIME(1)"
CANARY = "canary-of-a-file-that-is-not-of-the-engine"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Give an engine of its own, without a password, as `make sandbox` starts it."""
    with ClickHouseServer(tmp_path_factory.mktemp("doors"), free_port()) as server:
        assert sql(server, "CREATE TABLE t (s String) ENGINE = MergeTree ORDER BY s") == (200, "")
        assert sql(server, "CREATE TABLE inbox (s String) ENGINE = Null") == (200, "")
        yield server


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    (tmp_path / "canary").write_text(f"{CANARY}\n")
    return tmp_path / "canary"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give a port that would notice a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


def ask(
    server: ClickHouseServer, method: str = "POST", path: str = "/", body: str = "", **headers: str
) -> tuple[HTTPResponse, str]:
    address = urlsplit(server.url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read().decode()


def sql(server: ClickHouseServer, statement: str) -> tuple[int, str]:
    answer, body = ask(server, body=statement)
    return answer.status, body


def code(body: str) -> str:
    found = re.findall(r"\(([A-Z_]+)\)", body)
    return str(found[-1]) if found else body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Origin": "http://evil.example", "Access-Control-Request-Private-Network": "true"},
        {"Referer": "http://evil.example/"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "rebound.evil.example:8123"},
    ],
)
def test_a_web_page_is_refused_by_every_method(server: ClickHouseServer, method: str, headers: dict[str, str]) -> None:
    answer, body = ask(server, method, f"/?query={quote('SELECT 6 * 7')}", "CREATE DATABASE of_a_page", **headers)
    assert answer.status == 403
    assert "42" not in body
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert sql(server, "EXISTS DATABASE of_a_page") == (200, "0\n")


def test_the_probe_of_a_web_page_is_refused_too(server: ClickHouseServer) -> None:
    assert ask(server, "GET", "/ping", Origin="http://evil.example")[0].status == 403
    assert ask(server, "GET", "/ping")[1] == "Ok.\n"


def test_the_body_of_a_web_page_is_not_waited_for(server: ClickHouseServer) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=30) as page:
        page.sendall(b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\n")
        assert page.recv(1000).startswith(b"HTTP/1.1 403 ")


@needs_landlock
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT file('{canary}')",
        "SELECT `file`('{canary}')",
        "SELECT path, * APPLY(file) FROM (SELECT '{canary}' AS path)",
        "SELECT * FROM file('{canary}', LineAsString)",
        "SELECT * FROM file('{folder}/can*', LineAsString)",
        "SELECT * FROM '{canary}'",
        "SELECT * FROM fileCluster('x', '{canary}', LineAsString)",
        "SELECT * FROM view(SELECT file('{canary}'))",
        "INSERT INTO t VALUES (file('{canary}'))",
        "INSERT INTO t FROM INFILE '{canary}' FORMAT LineAsString",
        "SELECT 1 FORMAT Template SETTINGS format_template_row = '{canary}'",
        "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{canary}'",
        "SELECT 1 FORMAT Protobuf SETTINGS format_schema = '{canary}:X'",
        "SELECT * FROM icebergLocal('{folder}')",
        "SELECT * FROM deltaLakeLocal('{folder}')",
        "SELECT file('/proc/self/environ')",
        "SELECT file('/proc/self/root{canary}')",
    ],
)
def test_sql_reads_no_file(server: ClickHouseServer, canary: Path, statement: str) -> None:
    _, body = sql(server, statement.format(canary=canary, folder=canary.parent))
    assert CANARY not in body
    assert "PATH=" not in body
    assert sql(server, "SELECT * FROM t") == (200, "")


@needs_landlock
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 INTO OUTFILE '{out}'",
        "SELECT 1 INTO OUTFILE '{out}' TRUNCATE FORMAT CSV",
        "SELECT 1 INTO OUTFILE '{canary}' APPEND",
        "INSERT INTO FUNCTION file('{out}', CSV, 'a UInt8') VALUES (1)",
        "CREATE TABLE rocks (s String) ENGINE = EmbeddedRocksDB(0, '{out}') PRIMARY KEY s",
        "BACKUP TABLE t TO File('{out}')",
    ],
)
def test_sql_writes_no_file(server: ClickHouseServer, canary: Path, statement: str) -> None:
    out = canary.with_name("out")
    status, _ = sql(server, statement.format(canary=canary, out=out))
    assert status != 200
    assert [file.name for file in canary.parent.iterdir()] == ["canary"]
    assert canary.read_text() == f"{CANARY}\n"


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("SELECT * FROM url('{url}', CSV, 'a String')", DENIED),
        ("INSERT INTO FUNCTION url('{url}', CSV, 'a String') VALUES ('x')", DENIED),
        ("SELECT * FROM s3('{url}/bucket/key', CSV, 'a String')", DENIED),
        ("SELECT * FROM remote('{host}', 'system', 'one')", DENIED),
        ("SELECT * FROM mysql('{host}', 'a', 'b', 'c', 'd')", DENIED),
        ("SELECT * FROM postgresql('{host}', 'a', 'b', 'c', 'd')", DENIED),
        ("SELECT * FROM mongodb('{host}', 'a', 'b', 'c', 'd', 'e String')", DENIED),
        ("SELECT * FROM redis('{host}', 'k', 'k String, v String')", DENIED),
        ("CREATE TABLE x (s String) ENGINE = URL('{url}', CSV)", DENIED),
        ("CREATE TABLE x (s String) ENGINE = S3('{url}/bucket/key', CSV)", DENIED),
        ("CREATE TABLE x (s String) ENGINE = File(CSV)", DENIED),
        ("CREATE TABLE x (s String) ENGINE = MySQL('{host}', 'a', 'b', 'c', 'd')", DENIED),
        ("CREATE TABLE x (s String) ENGINE = Distributed(x, default, t)", DENIED),
        ("CREATE DATABASE x ENGINE = MySQL('{host}', 'a', 'b', 'c')", DENIED),
        ("CREATE DATABASE x ENGINE = PostgreSQL('{host}', 'a', 'b', 'c')", DENIED),
        ("CREATE DATABASE x ENGINE = SQLite('/tmp/x.db')", DENIED),
        ("CREATE DATABASE x ENGINE = Filesystem('/')", DENIED),
        (f"CREATE TABLE x {MERGE_TREE} SETTINGS disk = disk(type = web, endpoint = '{{url}}/')", CONSTRAINT),
        (f"CREATE TABLE x {MERGE_TREE} SETTINGS storage_policy = 'x'", CONSTRAINT),
        ("SELECT * FROM format(AvroConfluent, '') SETTINGS format_avro_schema_registry_url = '{url}'", CONSTRAINT),
        ("SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1", CONSTRAINT),
        (f"CREATE DICTIONARY {DICTIONARY} SOURCE(HTTP(url '{{url}}' format CSV))", DENIED),
        (f"CREATE DICTIONARY {DICTIONARY} SOURCE(EXECUTABLE(command 'id' format CSV))", DENIED),
        (f"CREATE DICTIONARY {DICTIONARY} SOURCE(FILE(path '/etc/passwd' format CSV))", DENIED),
        ("CREATE FUNCTION f AS x -> x", DENIED),
        ("CREATE NAMED COLLECTION c AS url = '{url}'", DENIED),
        ("CREATE USER u", DENIED),
        ("GRANT READ ON URL TO default", DENIED),
        ("SELECT * FROM system.users", DENIED),
        ("SELECT * FROM system.quotas", DENIED),
        ("SYSTEM SHUTDOWN", DENIED),
    ],
)
def test_sql_reaches_no_network_program_or_right(
    server: ClickHouseServer, listener: socket.socket, statement: str, refused: str
) -> None:
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    status, body = sql(server, statement.format(host=host, url=f"http://{host}"))
    assert status != 200
    assert code(body) == refused
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("call", ["executable('id', TSV, 'a String')", "python('os')"])
def test_sql_starts_no_program(server: ClickHouseServer, call: str) -> None:
    status, body = sql(server, f"SELECT * FROM {call}")  # noqa: S608 - words of ours
    assert status != 200
    assert "uid=" not in body


def test_what_a_pipeline_needs_goes_on(server: ClickHouseServer) -> None:
    for statement in (
        "CREATE DATABASE IF NOT EXISTS mine",
        "CREATE TABLE mine.latest (k String, n UInt64) ENGINE = ReplacingMergeTree(n) ORDER BY k",
        "CREATE MATERIALIZED VIEW mine.feed TO mine.latest AS SELECT s AS k, 1 AS n FROM inbox",
        "INSERT INTO inbox VALUES ('a')",
        "OPTIMIZE TABLE mine.latest FINAL",
        "ALTER TABLE mine.latest ADD COLUMN more String",
        "RENAME TABLE mine.latest TO mine.other",
        "DROP DATABASE mine",
    ):
        assert sql(server, statement) == (200, ""), statement


CONFINED = """
import os, socket, sys
from pathlib import Path
from sandbox.clickhouse.confinement import confine
confine(Path(sys.argv[1]), [])
(Path(sys.argv[1]) / "own").write_text("own")
for path in (*sys.argv[2:4], "/proc/self/environ", "/proc/self/auxv"):
    try: print("open" if os.open(path, os.O_RDONLY) else "")
    except PermissionError: print("refused")
try: print(socket.create_connection(("127.0.0.1", int(sys.argv[4]))))
except PermissionError: print("refused")
"""


@needs_landlock
def test_a_confined_process_has_its_own_folder_and_no_other(
    tmp_path: Path, canary: Path, listener: socket.socket
) -> None:
    (tmp_path / "owned").mkdir()
    port = str(listener.getsockname()[1])
    command = [sys.executable, "-c", CONFINED, str(tmp_path / "owned"), str(canary), "/etc/passwd", port]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    # The engine crashes now and then without the last one.
    assert done.stdout.splitlines()[:4] == ["refused", "refused", "refused", "open"]
    if _version() >= _WITH_NETWORK:
        assert done.stdout.splitlines()[4:] == ["refused"]
    assert (tmp_path / "owned" / "own").read_text() == "own"
