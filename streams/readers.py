"""
The readers of the answers of streams: bearer tokens (RFC 6750) of readers and of the workers among themselves.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr

from streams.program.listening import is_loopback
from streams.program.tokens import TOKEN, holder_of, parse_grants

_BEARER: Final = re.compile(rf"Bearer +({TOKEN.pattern}) *", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reader:
    """A client that asks. `sees_all` shows numbers and texts; `is_worker` is another worker, which masks by itself."""

    name: str
    sees_all: bool
    token: str = field(default="", repr=False)
    is_worker: bool = False


LOCAL: Final = Reader("local", sees_all=True)
"""The reader of an API without tokens, which only this machine reaches."""


class Readers:
    """The readers of one worker. Without tokens every client is `LOCAL`."""

    def __init__(self, readers: Sequence[Reader], worker_token: str) -> None:
        self.is_open = not readers
        self.worker_token = worker_token
        self.names = sorted({reader.name for reader in readers})
        worker = Reader("worker", sees_all=True, token=worker_token, is_worker=True)
        self._known = [*readers, *([worker] if worker_token else [])]

    def recognize(self, authorization: str) -> Reader | None:
        """Return the reader with this header field; None for a stranger."""
        given = _BEARER.fullmatch(authorization)
        found = holder_of(given[1] if given else "", self._known)
        return LOCAL if found is None and self.is_open else found


def parse_readers(text: str) -> list[Reader]:
    """Return the readers of STREAMS_READ_TOKENS; ValueError names the fault and repeats no token."""
    return [Reader(*grant) for grant in parse_grants(text)]


def access_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each token that is missing or may not be; `named` has the settings that are valid, by name."""
    bind = named.get("streams_web_bind", "")
    far = bool(bind) and not is_loopback(bind)
    readers, worker = _text(named.get("streams_read_tokens")), _text(named.get("streams_worker_token"))
    if far and not readers and "streams_read_tokens" in named:
        yield f"STREAMS_READ_TOKENS: it is needed with STREAMS_WEB_BIND={bind}: strangers would read numbers and texts"
    if (far or readers) and not worker and "streams_worker_token" in named:
        why = "STREAMS_READ_TOKENS" if readers else f"STREAMS_WEB_BIND={bind}"
        yield f"STREAMS_WORKER_TOKEN: it is needed with {why}: workers ask each other with it"
    if worker and f":{worker}:" in readers:
        yield "STREAMS_WORKER_TOKEN: it is the token of a reader, too: workers need one of their own"


def _text(setting: SecretStr | str | None) -> str:
    return setting.get_secret_value() if isinstance(setting, SecretStr) else setting or ""
