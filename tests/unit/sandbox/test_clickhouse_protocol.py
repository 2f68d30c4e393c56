import base64

import pytest

from sandbox.clickhouse.errors import ClickHouseError
from sandbox.clickhouse.protocol import Request, Session, credentials, read_query
from sandbox.clickhouse.statement import Statement


def request(
    parameters: dict[str, str] | None = None,
    body: bytes = b"SELECT 1",
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Request:
    return Request(method, "/", parameters or {}, headers or {}, body)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "parameters", "expected"),
    [
        ({}, {}, ("default", "")),
        ({"x-clickhouse-user": "ana", "x-clickhouse-key": "k"}, {}, ("ana", "k")),
        ({"x-clickhouse-key": "k"}, {}, ("default", "k")),
        ({"authorization": basic("ana:k:l")}, {}, ("ana", "k:l")),
        ({"authorization": basic(":k")}, {}, ("default", "k")),
        ({"authorization": "Basic é!"}, {}, ("default", "")),
        ({"authorization": basic("ana:k")}, {"user": "eva", "password": "p"}, ("eva", "p")),
    ],
)
def test_credentials_come_from_parameters_headers_or_basic_auth(
    headers: dict[str, str], parameters: dict[str, str], expected: tuple[str, str]
) -> None:
    assert credentials(request(parameters, headers=headers)) == expected


def test_parameters_that_are_not_the_protocols_own_are_settings() -> None:
    query = read_query(request({"max_threads": "2", "database": "d", "query_id": "q", "param_x": "1", "role": "r"}))
    assert query.settings == {"max_threads": "2"}
    assert query.parameters == {"x": "1"}
    assert query.database == "d"


def test_a_setting_whose_name_is_sql_is_refused() -> None:
    with pytest.raises(ClickHouseError, match="UNKNOWN_SETTING"):
        read_query(request({"a = 1, b": "2"}))


@pytest.mark.parametrize(
    ("parameters", "headers", "body", "expected"),
    [
        ({}, {}, b"SELECT 1", "TabSeparated"),
        ({"default_format": "JSON"}, {}, b"SELECT 1", "JSON"),
        ({}, {"x-clickhouse-format": "CSV"}, b"SELECT 1", "CSV"),
        ({"default_format": "JSON"}, {}, b"SELECT 1 FORMAT Native", "Native"),
    ],
)
def test_the_statements_format_goes_before_the_requests(
    parameters: dict[str, str], headers: dict[str, str], body: bytes, expected: str
) -> None:
    assert read_query(request(parameters, body, headers)).output_format == expected


@pytest.mark.parametrize(("method", "readonly"), [("GET", "0"), ("POST", "1"), ("POST", "2")])
def test_a_get_or_readonly_request_can_not_change_anything(method: str, readonly: str) -> None:
    def run(sql: str, body: bytes = b"") -> Statement:
        return read_query(request({"query": sql, "readonly": readonly}, body, method=method)).statement

    assert run("SELECT 1").sql == "SELECT 1"
    with pytest.raises(ClickHouseError, match="READONLY"):
        run("DROP TABLE t")
    with pytest.raises(ClickHouseError, match="READONLY"):
        run("INSERT INTO t FORMAT CSV", b"1")


def test_a_session_has_a_name_and_an_end() -> None:
    assert read_query(request()).session is None
    assert read_query(request({"session_id": "s"})).session == Session("s", 60.0, must_exist=False)
    given = read_query(request({"session_id": "s", "session_timeout": "5", "session_check": "1"})).session
    assert given == Session("s", 5.0, must_exist=True)
    with pytest.raises(ClickHouseError, match="BAD_ARGUMENTS"):
        read_query(request({"session_id": "s", "session_timeout": "soon"}))


def test_the_urls_query_and_the_body_make_one_statement() -> None:
    query = read_query(request({"query": "INSERT INTO t FORMAT CSV"}, b"1,2\n"))
    assert query.statement == Statement("INSERT INTO t", "CSV", b"1,2\n")


@pytest.mark.parametrize(
    ("method", "path", "parameters", "probe"),
    [
        ("GET", "/ping", {}, True),
        ("GET", "/", {}, True),
        ("HEAD", "/replicas_status", {}, True),
        ("POST", "/", {}, False),
        ("GET", "/", {"query": "SELECT 1"}, False),
        ("GET", "/other", {}, False),
    ],
)
def test_probes_are_told_from_queries(method: str, path: str, parameters: dict[str, str], probe: bool) -> None:  # noqa: FBT001
    assert Request(method, path, parameters, {}, b"").is_probe is probe
