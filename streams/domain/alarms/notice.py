"""
The notice of an alarm for the webhook: for which records there is one, its body, and its signature.

Body, headers and signature are those of Standard Webhooks (standardwebhooks.com), for which many languages have a
library that verifies them.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import blake2b, sha256
from typing import Any, Final, NamedTuple

import orjson

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every secret begins
_LEAST_BYTES, _MOST_BYTES = 24, 64
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
MOST_SECONDS: Final = 24 * 60 * 60
"""A notice that could not be delivered for so long is given up."""


class Notice(NamedTuple):
    """Body and id. The same record always has the same id, by which a receiver knows a repetition."""

    id: str
    body: bytes


def notice_of(record: Mapping[str, Any]) -> Notice | None:
    """Return the notice of the record of an alarm; None for a suspicion, and for a muted one."""
    if record["level"] != "alarm" or record["muted_until"] is not None:
        return None
    told = "opened" if record["is_open"] else "closed"
    at = record["opened_at"] if record["is_open"] else record["closed_at"]
    name = orjson.dumps([record["alarm"], record["generation"], record["revision"]])
    body = orjson.dumps({"type": f"alarm.{told}", "timestamp": at, "data": record})
    return Notice(f"alarm_{blake2b(name, digest_size=16).hexdigest()}", body)


def secret_bytes(text: str) -> bytes:
    """Return the key that a secret stands for; ValueError for another form."""
    try:
        key = (
            base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
            if text.startswith(_SECRET_PREFIX)
            else b""
        )
    except binascii.Error:
        key = b""
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(
            f"{_SECRET_PREFIX} and {_LEAST_BYTES} to {_MOST_BYTES} random bytes in base64 are expected: "
            f'echo "{_SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return key


def signed_headers(notice: Notice, key: bytes, second: int) -> dict[str, str]:
    """Return the headers of one attempt: id, time and signature are those of Standard Webhooks."""
    signed = f"{notice.id}.{second}.".encode() + notice.body
    signature = base64.b64encode(hmac.digest(key, signed, sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": notice.id,
        "webhook-timestamp": str(second),
        "webhook-signature": f"v1,{signature}",
    }


def pause_after(attempts: int) -> float:
    """Return how many seconds to wait after so many attempts in vain: 1, 2, 4 … 300."""
    return min(_FIRST_PAUSE * 2.0 ** min(attempts - 1, 16), _LONGEST_PAUSE)
