"""
The proof that an INSERT was done: ClickHouse's own answer, with the number of rows that it wrote.

Pure. Anything may answer 200: a maintenance page, a proxy, a server that failed after it had begun to answer. Only
ClickHouse answers an INSERT with an empty body and a summary of the rows that it wrote.
"""

import json
import re
from typing import Final

from urllib3 import HTTPHeaderDict

from sinks.clickhouse.codes import UNKNOWN_SETTING, Meaning, meaning_of, name_of
from sinks.errors import FatalError, OldServerError, PermanentError, RetryableError, SinksError

_SUMMARY: Final = "X-ClickHouse-Summary"
_CODE: Final = "X-ClickHouse-Exception-Code"
_TAG: Final = "X-ClickHouse-Exception-Tag"
_OK: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_CODE_IN_TEXT: Final = re.compile(r"Code: ([0-9]{1,9})\.")
_VERSION: Final = re.compile(r"\s*\(version [^)]*\)+\s*$")


def rows_written(status: int, headers: HTTPHeaderDict, body: bytes) -> int:
    """
    Return how many rows an INSERT has written: in its table, and in each table that a materialized view fills from it.

    PermanentError or FatalError for an error of ClickHouse that means so. RetryableError for any other error, and for
    every answer that does not tell the number.
    """
    if error := _error_of_clickhouse(headers, body):
        raise error
    if status != _OK:
        raise RetryableError(f"something answers HTTP status {status} at CLICKHOUSE_URL in place of ClickHouse")
    if body:
        raise RetryableError(
            f"an INSERT was answered with a text of {len(body)} bytes, as ClickHouse never does: "
            "look at the proxy or the server at CLICKHOUSE_URL"
        )
    return _written(headers)


def error_of(code: int | None, words: str) -> SinksError:
    """Return the error that a code of ClickHouse means; only one that is about a row has the words, which may quote."""
    match meaning_of(code):
        case Meaning.ROW:
            return PermanentError(_VERSION.sub("", words).strip())
        case Meaning.PERSON:
            kind = OldServerError if code == UNKNOWN_SETTING else FatalError
            return kind(f"ClickHouse says {name_of(code)}")
        case Meaning.RETRY:
            return RetryableError(f"ClickHouse says {name_of(code)}")


def _error_of_clickhouse(headers: HTTPHeaderDict, body: bytes) -> SinksError | None:
    """Return the error that the answer has in a header, or in a block after the answer had begun."""
    text = body.decode(errors="replace")
    if (code := headers.get(_CODE)) is not None:
        return error_of(int(code) if _NUMBER.fullmatch(code) else 0, text)
    # A page may quote an error: only a block with the tag of this answer is ClickHouse's.
    if (tag := headers.get(_TAG)) and "__exception__" in text and tag in text and (found := _CODE_IN_TEXT.search(text)):
        return error_of(int(found[1]), text)
    return None


def _written(headers: HTTPHeaderDict) -> int:
    summaries = headers.getlist(_SUMMARY)
    if not summaries:
        raise RetryableError(
            f"the answer to an INSERT has no header {_SUMMARY}, which every ClickHouse sends: "
            "have the proxy at CLICKHOUSE_URL pass it on"
        )
    values = [value for summary in summaries for value in _values_in(summary)]
    if len(values) != 1 or not _NUMBER.fullmatch(values[0]):
        raise RetryableError(
            f"the header {_SUMMARY} does not tell written_rows as one number: look at the proxy at CLICKHOUSE_URL"
        )
    return int(values[0])


def _values_in(summary: str) -> list[str]:
    """Return each `written_rows` of a summary: a number, as text or as it is."""
    try:
        pairs = json.loads(summary, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return []
    if not isinstance(pairs, list):
        return []
    return [str(pair[1]) for pair in pairs if isinstance(pair, tuple) and pair[0] == "written_rows"]
