"""
Bodies that are no callbacks: each is answered as the contract says, kept with its reason, and stops nothing.
"""

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
    "not UTF-8": ('{"messageId":"garbage-3","message":"Γειά"}'.encode("iso-8859-7"), "not-json"),
    "empty": (b"", "not-json"),
    "array": (b'[{"messageId":"garbage-5"}]', "not-object"),
    "string": (b'"garbage-6"', "not-object"),
    "null": (b"null", "not-object"),
    "no key": (b'{"smsId":"garbage-8","status":{"name":"Delivered"}}', "no-key"),
    "deep nesting": (b'{"messageId":"garbage-9","x":' + b"[" * NESTED + b"]" * NESTED + b"}", "too-deep"),
    "lone surrogate": (b'{"messageId":"garbage-10","status":{"name":"Sent"},"message":"\\ud83d"}', "not-json"),
    "NaN": (b'{"messageId":"garbage-11","status":{"name":"Sent"},"price":NaN}', "not-json"),
    "raw NUL": (b'{"messageId":"garbage-12","status":{"name":"Sent"},"message":"\x00"}', "not-json"),
    "number beyond all": (b'{"messageId":"garbage-14","latency":' + b"9" * 400 + b"}", "not-json"),
    "no status": (b'{"messageId":"garbage-13"}', "unknown-shape"),
}
TAKEN = {
    "duplicate keys": b'{"messageId":"garbage-20","parts":1,"status":{"name":"Sent"},"parts":1}',
    "escaped NUL": b'{"messageId":"garbage-21","status":{"name":"Sent"},"message":"a\\u0000b"}',
    "huge integer": b'{"messageId":"garbage-22","status":{"name":"Sent"},"latency":' + b"9" * 40 + b"}",
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
    key = body[14:24].decode()
    sql = f"SELECT status FROM sms WHERE message_id = '{key}'"  # noqa: S608 - our own words
    assert eventually(lambda: list(database.rows(sql)), 60) == [{"status": "Sent"}]


def test_a_body_beyond_the_limit_is_refused(sandbox: Sandbox) -> None:
    """A megabyte is answered 413 and not stored."""
    assert post(sandbox.addresses.callback_url, b" " * (1 << 20)) == 413


def test_a_wrong_secret_is_not_found(sandbox: Sandbox) -> None:
    """Without the secret there is nothing here."""
    assert post(f"{sandbox.addresses.ingest}/callbacks/guess", b"{}") == 404
