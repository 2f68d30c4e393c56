"""
Answers as bytes: the usual ones are made once a second (they carry the date), the others when needed.
"""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from ingest.clock import Clock
from ingest.http.admission import Refused
from streams.contract.problems import PROBLEM_JSON, REFUSALS, problem

_RETRY: Final = b"retry-after: 2\r\n"
_UNEXPLAINED: Final = (403, 404)
"""Who may not post, and who has no secret, learns nothing about it."""
_DETAILS: Final = {**REFUSALS, 405: "callbacks are posted", **dict.fromkeys(_UNEXPLAINED)}
_PROBLEMS: Final = {status: problem(status, detail) for status, detail in _DETAILS.items()}


class Answer(NamedTuple):
    """One answer in two forms: for a connection that goes on after it, and for one that ends with it."""

    keep: bytes
    close: bytes


CONTINUE: Final = Answer(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n")
"""The interim answer that a client with `Expect: 100-continue` waits for."""


class Answers:
    """All answers of a server; `refresh` must be called once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.refresh()

    def refresh(self) -> None:
        """Make the usual answers with the present date."""
        self._date = formatdate(self._clock.wall(), usegmt=True).encode()
        self.stored = self.make(200)
        self.unavailable = self.make(503, _PROBLEMS[503], _RETRY)

    def refusal(self, refused: Refused, method: bytes = b"") -> Answer:
        """Return the answer to a refused request; that to HEAD tells of a body and has none (RFC 9110, 9.3.2)."""
        answer = self.make(refused.status, _PROBLEMS[refused.status], refused.fields)
        return Answer(*map(_head_of, answer)) if method == b"HEAD" else answer

    def make(self, status: int, body: bytes = b"", fields: bytes = b"") -> Answer:
        """Return any answer; `body` is a problem, `fields` are further header lines, each with its line end."""
        if body:
            fields = b"content-type: %s\r\n%s" % (PROBLEM_JSON.encode(), fields)
        start = b"HTTP/1.1 %d %s\r\ndate: %s\r\n%scontent-length: %d\r\n" % (
            status,
            HTTPStatus(status).phrase.encode(),
            self._date,
            fields,
            len(body),
        )
        return Answer(start + b"\r\n" + body, start + b"connection: close\r\n\r\n" + body)


def _head_of(answer: bytes) -> bytes:
    head, end, _ = answer.partition(b"\r\n\r\n")
    return head + end
