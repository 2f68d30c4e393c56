"""
Problem details (RFC 9457) as a client reads them.
"""

from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

import orjson


def problem_in(kind: str, status: int, body: bytes) -> dict[str, Any]:
    """Return the members of a problem; AssertionError when the answer is none, or not in the form of ours."""
    assert kind == "application/problem+json", (kind, body)
    told: dict[str, Any] = orjson.loads(body)
    assert (told["type"], told["title"], told["status"]) == ("about:blank", HTTPStatus(status).phrase, status)
    return told


def lines_of(refused: HTTPError) -> str:
    """Return the reasons in the body of an answer, a line each."""
    told = problem_in(refused.headers["Content-Type"], refused.code, refused.read())
    return f"{told['detail']}\n" if "detail" in told else ""
