import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.clickhouse.errors import ClickHouseError
from sandbox.clickhouse.statement import Statement, read_statement


@pytest.mark.parametrize(
    ("query", "body", "sql", "input_format", "data"),
    [
        (b"", b"SELECT 1;", "SELECT 1", None, b""),
        (b"SELECT 1", b"", "SELECT 1", None, b""),
        (b"SELECT", b"1", "SELECT\n1", None, b""),
        (b"INSERT INTO t FORMAT CSV", b"1,2\n", "INSERT INTO t", "CSV", b"1,2\n"),
        (b"INSERT INTO t FORMAT CSV 1,2", b"3,4\n", "INSERT INTO t", "CSV", b"1,2\n3,4\n"),
        (b"", b"INSERT INTO t (a, b) FORMAT JSONEachRow\n{}", "INSERT INTO t (a, b)", "JSONEachRow", b"{}"),
        (b"", b"insert into t format CSV \n1", "insert into t", "CSV", b"1"),
        (b"", b"INSERT INTO t FORMAT TSV", "INSERT INTO t", "TSV", b""),
        (
            b"",
            b"/* a */ INSERT INTO `format` (`x y`) FORMAT CSV 1",
            "/* a */ INSERT INTO `format` (`x y`)",
            "CSV",
            b"1",
        ),
        (b"", b"INSERT INTO t (format, values) FORMAT CSV 1", "INSERT INTO t (format, values)", "CSV", b"1"),
        (b"", b"INSERT INTO db.values FORMAT CSV 1", "INSERT INTO db.values", "CSV", b"1"),
        (
            b"",
            b"INSERT INTO t SETTINGS a='FORMAT CSV' FORMAT CSV 1",
            "INSERT INTO t SETTINGS a='FORMAT CSV'",
            "CSV",
            b"1",
        ),
        (b"INSERT INTO t FORMAT RowBinary", b"\xff\x00' FORMAT", "INSERT INTO t", "RowBinary", b"\xff\x00' FORMAT"),
        # The engine reads these by itself.
        (b"", b"INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", None, b""),
        (b"INSERT INTO t VALUES", b"(1), (2)", "INSERT INTO t VALUES\n(1), (2)", None, b""),
        (b"", b"INSERT INTO t FORMAT Values (1)", "INSERT INTO t FORMAT Values (1)", None, b""),
        (b"", b"INSERT INTO t SELECT 1 FORMAT CSV", "INSERT INTO t SELECT 1 FORMAT CSV", None, b""),
        (b"", b"SELECT 'INSERT INTO t FORMAT CSV 1'", "SELECT 'INSERT INTO t FORMAT CSV 1'", None, b""),
    ],
)
def test_rows_are_cut_off_an_insert_and_nothing_else(
    query: bytes, body: bytes, sql: str, input_format: str | None, data: bytes
) -> None:
    assert read_statement(query, body) == Statement(sql, input_format, data)


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        (b"", b"", 62),
        (b"", b" ; ", 62),
        (b"", b"SELECT '\xff'", 62),
        (b"", b"CREATE TABLE t (a UInt8) ENGINE = Kafka('b', 't', 'g', 'CSV')", 48),
        (b"create table t (a UInt8) engine=RabbitMQ", b"", 48),
    ],
)
def test_what_can_not_be_run_is_refused_with_the_servers_code(query: bytes, body: bytes, code: int) -> None:
    with pytest.raises(ClickHouseError) as refused:
        read_statement(query, body)
    assert refused.value.code == code


@given(st.binary(min_size=1))
def test_the_rows_of_a_body_of_its_own_arrive_byte_for_byte(data: bytes) -> None:
    assert read_statement(b"INSERT INTO t FORMAT Native", data).data == data


@given(st.binary(), st.binary())
def test_any_bytes_give_a_statement_or_a_refusal(query: bytes, body: bytes) -> None:
    try:
        statement = read_statement(query, body)
    except ClickHouseError as refused:
        assert refused.code in {48, 62}  # noqa: PT017 - either outcome is right
    else:
        assert statement.sql


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", True),
        ("(select 1) union all (select 2)", True),
        ("  WITH 1 AS a SELECT a", True),
        ("SHOW TABLES", True),
        ("EXPLAIN SELECT 1", True),
        ("INSERT INTO t SELECT 1", False),
        ("DROP TABLE t", False),
        ("SET a = 1", False),
        ("-- SELECT\nDROP TABLE t", False),
    ],
)
def test_only_statements_that_begin_by_reading_are_taken_for_reading(sql: str, reads: bool) -> None:  # noqa: FBT001
    assert Statement(sql).only_reads is reads


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 1 format CSV settings max_threads=1", "CSV"),
        ("SELECT format FROM t", None),
        ("SELECT 'FORMAT JSON' FROM t", None),
    ],
)
def test_a_statement_may_name_the_format_of_its_result(sql: str, name: str | None) -> None:
    assert Statement(sql).output_format == name
