import pytest

from sandbox.clickhouse.errors import ClickHouseError, refusal


@pytest.mark.parametrize(
    ("message", "code", "status"),
    [
        ("Code: 60. DB::Exception: Table x does not exist. (UNKNOWN_TABLE)", 60, 404),
        ("Query failed: Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)", 62, 400),
        ("Code: 516. DB::Exception: who?. (AUTHENTICATION_FAILED)", 516, 403),
        ("Code: 202. DB::Exception: too many. (TOO_MANY_SIMULTANEOUS_QUERIES)", 202, 503),
        ("Code: 999. DB::Exception: other. (KEEPER_EXCEPTION)", 999, 500),
        ("something else", 1001, 500),
    ],
)
def test_an_error_has_the_servers_code_and_the_status_that_belongs_to_it(message: str, code: int, status: int) -> None:
    error = ClickHouseError(message)
    assert (error.code, error.status) == (code, status)
    assert str(error).startswith(f"Code: {code}. DB::Exception: ")


def test_a_refusal_reads_like_the_engines_own() -> None:
    assert str(refusal(372, "SESSION_NOT_FOUND", "Session a not found")) == (
        "Code: 372. DB::Exception: Session a not found. (SESSION_NOT_FOUND)"
    )
