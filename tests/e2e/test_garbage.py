"""
Bodies that are no callbacks: each is answered as the contract says, kept with its reason, and stops nothing.
"""

import re
import time
from base64 import b64decode
from typing import Any

import pytest

from sandbox.audit.clickhouse import ClickHouse
from sandbox.stack import Sandbox
from tests.e2e.posting import post
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(240)]

NESTED = 10_000
REFUSED = {
    "not JSON": (b"hello garbage 1", "not-json"),
    "cut off": (b'{"messageId":"garbage-2","status":{"name":"Deliv', "not-json"),
    "not UTF-8": ('{"messageId":"garbage-3Γειά"}'.encode("iso-8859-7"), "no-key"),
    "not UTF-8, no status": ('{"messageId":"garbage-3","message":"Γειά"}'.encode("iso-8859-7"), "unknown-shape"),
    "empty": (b"", "not-json"),
    "array of texts": (b'["garbage-5","garbage-5"]', "not-object"),
    "string": (b'"garbage-6"', "not-object"),
    "null": (b"null", "not-object"),
    "no key": (b'{"smsId":"garbage-8","status":{"name":"Delivered"}}', "no-key"),
    "deep nesting": (b'{"messageId":"garbage-9","x":' + b"[" * NESTED + b"]" * NESTED + b"}", "unknown-shape"),
    "deep array": (b"[" * NESTED + b"9" + b"]" * NESTED, "too-deep"),
    "lone surrogate": (b'{"messageId":"garbage-10\\ud83d","status":{"name":"Sent"}}', "no-key"),
    "NaN": (b'{"messageId":NaN,"status":{"name":"Sent"},"label":"garbage-11"}', "not-json"),
    "raw NUL": (b'{"messageId":"garbage-12\x00","status":{"name":"Sent"}}', "no-key"),
    "two keys": (b'{"messageId":"garbage-14","messageId":"garbage-15","status":{"name":"Sent"},}', "not-json"),
    "no status": (b'{"messageId":"garbage-13"}', "unknown-shape"),
}
TAKEN = {
    "duplicate keys": b'{"messageId":"garbage-20","parts":1,"status":{"name":"Sent"},"parts":1}',
    "escaped NUL": b'{"messageId":"garbage-21","status":{"name":"Sent"},"message":"a\\u0000b"}',
    "huge integer": b'{"messageId":"garbage-22","status":{"name":"Sent"},"latency":' + b"9" * 40 + b"}",
    "byte order mark": b'\xef\xbb\xbf{"messageId":"garbage-24","status":{"name":"Sent"}}',
    "half an emoji": b'{"messageId":"garbage-25","status":{"name":"Sent"},"message":"\\ud83d"}',
    "NaN in a price": b'{"messageId":"garbage-26","status":{"name":"Sent"},"price":NaN}',
    "number beyond all": b'{"messageId":"garbage-27","status":{"name":"Sent"},"latency":' + b"9" * 400 + b"}",
    "bytes that are no text": b'{"messageId":"garbage-28","status":{"name":"Sent"},"message":"\xe9\x00"}',
    "cut end": b'{"messageId":"garbage-29","status":{"name":"Sent"},"message":"...',
    "array of one": b'[{"messageId":"garbage-30","status":{"name":"Sent"}}]',
    "array of two": b'[{"messageId":"garbage-31","status":{"name":"Sent"}},'
    b'{"messageId":"garbage-32","status":{"name":"Sent"}}]',
    "extra keys": b'{"messageId":"garbage-23","status":{"name":"Sent"},"poolName":"x","poolId":[{}]}',
}


@pytest.fixture(scope="module")
def rejected(sandbox: Sandbox, database: ClickHouse) -> dict[bytes, str]:
    """Post all of it; return the reasons in `rejected_callbacks` by body."""
    pids = sandbox.pids()
    for kind, body in [(kind, body) for kind, (body, _) in REFUSED.items()] + list(TAKEN.items()):
        assert post(sandbox.addresses.callback_url, body) == 200, kind
    last = f"last of {time.time_ns()}".encode()
    assert post(sandbox.addresses.callback_url, last) == 200

    def found() -> dict[bytes, str]:
        return {_bytes(row): row["reason"] for row in database.rows("SELECT * FROM rejected_callbacks")}

    eventually(lambda: last in found() and REFUSED["no status"][0] in found(), 60)
    assert sandbox.pids() == pids, "a program crashed"
    return found()


def _bytes(row: dict[str, Any]) -> bytes:
    return b64decode(row["body_base64"]) if row["body"] is None else row["body"].encode()


@pytest.mark.parametrize("kind", REFUSED)
def test_garbage_is_kept_byte_for_byte_with_its_reason(rejected: dict[bytes, str], kind: str) -> None:
    """Answered 200, since Routee would send any other answer twelve more times, and found again."""
    body, reason = REFUSED[kind]
    assert rejected.get(body) == reason


@pytest.mark.parametrize("kind", TAKEN)
def test_a_merely_odd_callback_is_taken(rejected: dict[bytes, str], database: ClickHouse, kind: str) -> None:
    """Odd but understandable callbacks become rows."""
    body = TAKEN[kind]
    assert body not in rejected
    keys = "', '".join({*re.findall(r"garbage-\d\d", body.decode(errors="replace"))})
    sql = f"SELECT status FROM sms WHERE message_id IN ('{keys}')"  # noqa: S608 - our own words
    rows = eventually(lambda: _all(list(database.rows(sql)), keys.count("garbage-")), 60)
    assert {row["status"] for row in rows} == {"Sent"}


def test_a_body_beyond_the_limit_is_refused(sandbox: Sandbox) -> None:
    """A megabyte is answered 413 and not stored."""
    assert post(sandbox.addresses.callback_url, b" " * (1 << 20)) == 413


def test_a_wrong_secret_is_not_found(sandbox: Sandbox) -> None:
    """Without the secret there is nothing here."""
    assert post(f"{sandbox.addresses.ingest}/callbacks/guess", b"{}") == 404


def _all(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The rows, once all of them are there."""
    return rows if len(rows) == count else []
