"""
Why a request was not answered, in one form on every port: problem details (RFC 9457).
"""

from http import HTTPStatus
from typing import Any, Final

import orjson

PROBLEM_JSON: Final = "application/problem+json"

REFUSALS: Final = {
    400: "the request has more than one reading, or bytes behind its body are no request",
    403: "the address is not among INGEST_ALLOWED_NETWORKS",
    404: "the path is not /callbacks with a secret of INGEST_SECRETS",
    408: "the request came too slowly",
    411: "the length of the body is not told",
    413: "the body is longer than INGEST_MAX_BODY_BYTES",
    414: "the path is too long",
    415: "the body is in an encoding other than gzip",
    417: "something other than 100-continue is expected",
    431: "the head is too long",
    501: "the body is transferred in a coding other than chunked",
    503: "nothing is stored: Kafka does not acknowledge in time, or too much is pending",
}
"""The answers to a callback that was not taken, and why; Routee sends it again after each."""


def problem(status: int, detail: str | None = None, **more: object) -> bytes:
    """
    Return the body of an answer with this status; `detail` is for people, `more` are members beside the standard ones.

    `type` is `about:blank`: the status says what kind of problem it is.
    """
    told: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail is not None:
        told["detail"] = detail
    return orjson.dumps(told | more)
