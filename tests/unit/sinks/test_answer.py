"""
An INSERT is done when ClickHouse itself says how many rows it wrote, and not for any other answer.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from sinks.clickhouse.answer import error_of, rows_written
from sinks.errors import FatalError, PermanentError, RetryableError

SUMMARY = '{"read_rows":"60","written_rows":"60","written_bytes":"4800","elapsed_ns":"4505959"}'
BLOCK = (
    "\r\n__exception__\r\nabcdefghijklmnop\r\nCode: {code}. DB::Exception: x 's3cret'. (NAME) (version 26.9.1)\r\n"
    "62 abcdefghijklmnop\r\n__exception__\r\n"
)


def headers(*pairs: tuple[str, str], summary: str | None = SUMMARY) -> HTTPHeaderDict:
    found = HTTPHeaderDict([("Content-Type", "text/plain")])
    for name, value in [*pairs, *([("X-ClickHouse-Summary", summary)] if summary is not None else [])]:
        found.add(name, value)
    return found


def page(text: str) -> bytes:
    return f"<html><body>{text}</body></html>".encode()


@pytest.mark.parametrize(
    ("summary", "rows"),
    [
        (SUMMARY, 60),
        ('{"written_rows": 60}', 60),
        ('{"written_rows":"0"}', 0),
        (' {"read_rows":"0", "written_rows" : "007"} ', 7),
        ('{"written_rows":"999999999999999999"}', 999_999_999_999_999_999),
    ],
)
def test_the_summary_tells_the_rows_as_text_or_as_a_number(summary: str, rows: int) -> None:
    assert rows_written(200, headers(summary=summary), b"") == rows


def test_a_header_is_known_in_any_case_and_beside_progress() -> None:
    found = HTTPHeaderDict([("x-clickhouse-summary", SUMMARY), ("X-ClickHouse-Exception-Tag", "abcdefghijklmnop")])
    for rows in range(5):
        found.add("X-ClickHouse-Progress", f'{{"written_rows":"{rows}"}}')
    assert rows_written(200, found, b"") == 60


@pytest.mark.parametrize(
    "summary",
    [
        "",
        "{}",
        "[]",
        "60",
        "null",
        "ok",
        '{"written_rows":}',
        '{"written_rows":"60"',
        '{"written_rows":null}',
        '{"written_rows":true}',
        '{"written_rows":""}',
        '{"written_rows":"-60"}',
        '{"written_rows":-60}',
        '{"written_rows":"+60"}',
        '{"written_rows":"6e1"}',
        '{"written_rows":60.0}',
        '{"written_rows":Infinity}',
        '{"written_rows":"６０"}',
        '{"written_rows":"60 "}',
        '{"written_rows":["60"]}',
        '{"written_rows":{"written_rows":"60"}}',
        '[["written_rows","60"]]',
        '{"Written_Rows":"60"}',
        '{"written_rows":"60","written_rows":"0"}',
        '{"written_rows":"60","written_rows":"x"}',
        f"{SUMMARY}, {SUMMARY}",
        '{"written_rows":' + "9" * 5000 + "}",
        "[" * 60_000,
    ],
    ids=lambda summary: summary[:40],
)
def test_a_summary_that_does_not_tell_one_number_proves_nothing(summary: str) -> None:
    with pytest.raises(RetryableError, match="X-ClickHouse-Summary does not tell written_rows as one number"):
        rows_written(200, headers(summary=summary), b"")


def test_two_summaries_prove_nothing() -> None:
    with pytest.raises(RetryableError, match="as one number"):
        rows_written(200, headers(("X-ClickHouse-Summary", SUMMARY)), b"")


def test_a_proxy_that_takes_the_summary_away_is_named_with_the_cure() -> None:
    with pytest.raises(
        RetryableError, match=r"no header X-ClickHouse-Summary.*have the proxy at CLICKHOUSE_URL pass it on"
    ):
        rows_written(200, headers(summary=None), b"")


@pytest.mark.parametrize("status", [100, 201, 202, 204, 206, 301, 302, 303, 307, 400, 401, 404, 413, 500, 502, 503])
def test_another_status_without_an_error_of_clickhouse_is_another_server(status: int) -> None:
    with pytest.raises(RetryableError, match=f"answers HTTP status {status} at CLICKHOUSE_URL"):
        rows_written(status, headers(), b"")


@pytest.mark.parametrize(
    "body",
    [
        page("Maintenance"),
        b"\n",
        b"0",
        b"Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED) (version 26.9.1)\n",
        b"Code: 27. DB::Exception: Cannot parse input. (CANNOT_PARSE_INPUT_ASSERTION_FAILED)\n",
        page("Code: 469. DB::Exception: VIOLATED_CONSTRAINT"),
        b"__exception__\r\nCode: 27. DB::Exception: x",
    ],
)
def test_a_body_is_never_an_answer_to_an_insert(body: bytes) -> None:
    """Nor does a page that quotes an error cost a row."""
    with pytest.raises(RetryableError, match=f"answered with a text of {len(body)} bytes"):
        rows_written(200, headers(), body)


@pytest.mark.parametrize("status", [200, 400, 404, 500, 502, 503])
@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (241, RetryableError, r"ClickHouse says MEMORY_LIMIT_EXCEEDED \(241\)"),
        (209, RetryableError, r"ClickHouse says SOCKET_TIMEOUT \(209\)"),
        (123_456, RetryableError, "ClickHouse says error 123456"),
        (60, FatalError, r"ClickHouse says UNKNOWN_TABLE \(60\)"),
        (27, PermanentError, "^Code: 27. DB::Exception: Cannot read 'x'. .CANNOT.$"),
    ],
)
def test_an_error_of_clickhouse_means_the_same_with_each_status(
    status: int, code: int, error: type[Exception], words: str
) -> None:
    """Also without a body: some versions answer 200 with nothing but the header."""
    body = f"Code: {code}. DB::Exception: Cannot read 'x'. (CANNOT) (version 26.9.1 (official build))\n".encode()
    with pytest.raises(error, match=words):
        rows_written(status, headers(("X-ClickHouse-Exception-Code", str(code))), body)


@pytest.mark.parametrize("code", ["", "241, 241", "none", "-1", "９"])
def test_an_error_that_cannot_be_read_is_tried_again(code: str) -> None:
    with pytest.raises(RetryableError):
        rows_written(200, headers(("X-ClickHouse-Exception-Code", code)), b"")


@pytest.mark.parametrize(("code", "error"), [(241, RetryableError), (60, FatalError), (27, PermanentError)])
def test_an_error_after_the_answer_had_begun_is_known_by_its_tag(code: int, error: type[Exception]) -> None:
    tagged = headers(("X-ClickHouse-Exception-Tag", "abcdefghijklmnop"))
    with pytest.raises(error):
        rows_written(200, tagged, BLOCK.format(code=code).encode())


@pytest.mark.parametrize("tag", ["", "qrstuvwxyzabcdef"])
def test_a_block_with_another_tag_costs_no_row(tag: str) -> None:
    with pytest.raises(RetryableError, match="answered with a text of"):
        rows_written(200, headers(("X-ClickHouse-Exception-Tag", tag)), BLOCK.format(code=27).encode())


def test_words_that_may_quote_rows_are_told_for_a_bad_row_only() -> None:
    for code in (241, 60):
        assert "s3cret" not in str(error_of(code, "s3cret"))
    assert str(error_of(27, "s3cret")) == "s3cret"


@given(
    status=st.sampled_from([200, 200, 204, 302, 500]),
    body=st.binary(max_size=50),
    summary=st.none()
    | st.text(max_size=50)
    | st.just(SUMMARY)
    | st.integers().map(lambda n: json.dumps({"written_rows": n})),
    code=st.none() | st.text(max_size=6),
    tag=st.none() | st.text(max_size=20),
)
def test_only_one_form_of_answer_is_a_proof(
    status: int, body: bytes, summary: str | None, code: str | None, tag: str | None
) -> None:
    found = HTTPHeaderDict()
    for name, value in (("Summary", summary), ("Exception-Code", code), ("Exception-Tag", tag)):
        if value is not None:
            found.add(f"X-ClickHouse-{name}", value)
    try:
        rows = rows_written(status, found, body)
    except (RetryableError, FatalError, PermanentError):
        return
    assert (status, body, code) == (200, b"", None)
    assert summary is not None
    assert int(json.loads(summary)["written_rows"]) == rows >= 0
