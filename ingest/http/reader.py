"""
Bytes of one connection → requests: framing, and the limits of one request.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import httptools

from ingest.causes import Cause
from ingest.http.admission import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    MALFORMED,
    TARGET_TOO_LONG,
    TRANSFER_CODING_UNKNOWN,
    Refused,
    RequestHead,
)
from ingest.http.limits import Limits

NO_REQUEST: Final = Refused(400, Cause.MALFORMED)
"""Bytes that begin no request. Behind a whole one, they may be the end of its body, and its length was wrong."""

_HEAD_END: Final = b"\r\n\r\n"
_DIGITS: Final = 11
_NOT_COUNTING: Final = -1
_TAB: Final = 9
"""As a number: bytes look for one many times faster than for bytes."""
_WHITE: Final = b" \t"
"""The white space around a field's value, which is no part of it (RFC 9110, 5.5)."""


class RequestSink(Protocol):
    """The receiver of the requests that a reader finds. A refusal ends the reading."""

    def head_received(self, head: RequestHead) -> Refused | None:
        """Take a whole head; its body is still to come."""

    def request_received(self, head: RequestHead, body: bytes) -> Refused | None:
        """Take a whole request."""


class _Halt(Exception):  # noqa: N818 - it only stops the parser
    pass


class RequestReader:
    """
    Feeds llhttp, and enforces the limits that llhttp does not know.

    After `feed` has returned a refusal, the reader must not be fed again. `closing` says that the request just read
    is the last one; any bytes behind it are NO_REQUEST. `repeatable` says that the head just read was admitted, and
    that the same bytes again would mean the same request, with a body of `head.content_length` bytes.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_cutting",
        "_fields",
        "_halted",
        "_head_bytes",
        "_in_body",
        "_in_pieces",
        "_limits",
        "_max_body",
        "_parser",
        "_refused",
        "_resuming",
        "_sink",
        "_unfinished_bytes",
        "between_requests",
        "closing",
        "head",
        "repeatable",
    )

    def __init__(self, sink: RequestSink, limits: Limits, max_body_bytes: int) -> None:
        self._sink = sink
        self._limits = limits
        self._max_body = max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._refused: Refused | None = None
        self._resuming = self._halted = self._in_pieces = self._cutting = False
        self._in_body = False
        self._body: bytes | bytearray = b""
        self._body_bytes = self._head_bytes = self._fields = self._unfinished_bytes = 0
        self.head = RequestHead()
        self.between_requests = True
        self.closing = False
        self.repeatable = False

    @property
    def in_body(self) -> bool:
        """Whether the head of a request was admitted, and its body is not whole yet."""
        return self._in_body and not self.between_requests

    @property
    def held(self) -> int:
        """Bytes of a body that is not whole yet."""
        return 0 if self.between_requests else self._body_bytes

    def feed(self, data: bytes) -> Refused | None:
        """Read on; returns why the connection must end, None while all is well."""
        self.repeatable = False
        if (_TAB in data or self._in_pieces) and not self._cutting:
            return self._feed_in_pieces(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._refused or self._resume(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            if self._halted:
                return self._resume(b"")
            begins = self.head.target and not self.between_requests
            return self._refused or (MALFORMED if begins else NO_REQUEST)
        return None if self.between_requests else self._check_unfinished(len(data))

    def close(self) -> None:
        """Read no more, and drop the parser and the sink: with the reader they form a cycle of references."""
        del self._parser, self._sink

    def abandon(self) -> None:
        """Drop the request that was begun: nothing more is read."""
        self.between_requests = True
        self._body = b""

    def _check_unfinished(self, size: int) -> Refused | None:
        """
        Bound the bytes that the parser keeps to itself: half a header line, chunk extensions.

        The read in which a request began does not count, as it may hold the end of many others.
        """
        self._unfinished_bytes = 0 if self._unfinished_bytes < 0 else self._unfinished_bytes + size
        if self._in_body:
            # A sender may put every byte of a body into a chunk of its own.
            too_many = self._unfinished_bytes > self._limits.head_bytes + 8 * self._max_body
            return BODY_TOO_LARGE if too_many else None
        return HEAD_TOO_LARGE if self._unfinished_bytes > self._limits.head_bytes else None

    def _feed_in_pieces(self, data: bytes) -> Refused | None:
        """
        Read bytes with a tab, or behind one, so that each head ends with a piece: then its body can be resumed.

        llhttp takes a tab behind `chunked` for a part of that word, and stops behind the head of such a request.
        """
        refused = None
        self._in_pieces = self._cutting = True
        for piece in _pieces(data):
            refused = self.feed(piece)
            if refused is not None:
                break
        self._in_pieces, self._cutting = not self.between_requests, False
        return refused

    def _resume(self, rest: bytes) -> Refused | None:
        """
        Read the body of a request behind whose head llhttp has stopped, with a new parser that is told the framing.

        It stops for a wish to upgrade, which is ignored (RFC 9110, 7.8) while the body is not, and when halted by us.
        """
        self._parser = httptools.HttpRequestParser(self)
        self._halted, self._resuming = False, True
        head = self.head
        framing = b"transfer-encoding: chunked" if head.chunked else b"content-length: %d" % (head.content_length or 0)
        ending = b"connection: close\r\n" if self.closing else b""
        refused = self.feed(b"POST / HTTP/1.1\r\nhost: a\r\n%s%s\r\n\r\n" % (ending, framing))
        self._resuming = False
        return refused or (self.feed(rest) if rest else None)

    def _refuse(self, refused: Refused) -> None:
        self._refused = refused
        raise _Halt

    # Called by llhttp, in this order.

    def on_message_begin(self) -> None:
        """Start a request."""
        if self._resuming:
            return
        self.between_requests = self._in_body = False
        self.head.clear()
        self._head_bytes = self._fields = self._body_bytes = 0
        self._body = b""
        self._unfinished_bytes = _NOT_COUNTING

    def on_url(self, part: bytes) -> None:
        """Take a piece of the request target."""
        if self._resuming:
            return
        self.head.target += part
        if len(self.head.target) > self._limits.target_bytes:
            self._refuse(TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field of the head, or of a chunked body's trailer (where no field has a meaning)."""
        if self._resuming:
            return
        self._fields += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._fields > self._limits.head_fields or self._head_bytes > self._limits.head_bytes:
            self._refuse(HEAD_TOO_LARGE)
        note = _NOTED.get(name.lower())
        if note is not None and not self._in_body:
            refused = note(self.head, value)
            if refused is not None:
                self._refuse(refused)

    def on_headers_complete(self) -> None:
        """Have the head judged."""
        self._in_body = True
        if self._resuming:
            return
        parser, head = self._parser, self.head
        head.method = parser.get_method()
        head.minor = _MINOR.get(parser.get_http_version())
        self.closing = self.closing or head.minor != 1 or not parser.should_keep_alive()
        refused = self._sink.head_received(head)
        if refused is not None:
            self._refuse(refused)
        if self._in_pieces and head.chunked:
            self._halted = True
            raise _Halt
        self.repeatable = bool(head.content_length) and not (
            self.closing or head.expect or head.encodings or parser.should_upgrade()
        )

    def on_body(self, part: bytes) -> None:
        """Take a piece of the body; nearly always there is just one, and it is not copied."""
        self._body_bytes += len(part)
        if self._body_bytes > self._max_body:
            self._refuse(BODY_TOO_LARGE)
        if self._body_bytes == len(part):
            self._body = part
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += part

    def on_message_complete(self) -> None:
        """Hand the request over."""
        if self._parser.should_upgrade():
            return
        self.between_requests = True
        body, self._body = self._body, b""
        refused = self._sink.request_received(self.head, body if isinstance(body, bytes) else bytes(body))
        if refused is not None:
            self._refuse(refused)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut bytes behind every place where a head may end; its end may have begun in the bytes before."""
    start = len(data) - len(data.lstrip(b"\r\n"))
    if start:
        yield data[:start]
    while (end := data.find(_HEAD_END, start)) >= 0:
        end += len(_HEAD_END)
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


_MINOR: Final = {"1.0": 0, "1.1": 1}
# A name or an address, and a port; other values have to be refused (RFC 9112, 3.2).
_HOST: Final = re.compile(rb"(?:[*+\w.~!$&'(),;=%-]*|\[[*+\w.:~!$&'(),;=-]+\])(?::\d*)?", re.ASCII)


def _note_host(head: RequestHead, value: bytes) -> Refused | None:
    head.hosts += 1
    return None if _HOST.fullmatch(value.strip(_WHITE)) else MALFORMED


def _note_content_length(head: RequestHead, value: bytes) -> Refused | None:
    if not value.isdigit() and not (value := value.strip(_WHITE)).isdigit():
        return MALFORMED
    value = value.lstrip(b"0") or b"0"
    # More digits than any limit has: int() of a long string costs, and its value does not matter.
    head.content_length = int(value) if len(value) <= _DIGITS else 10**_DIGITS
    return None


def _note_transfer_encoding(head: RequestHead, value: bytes) -> Refused | None:
    if value.strip(_WHITE).lower() != b"chunked" or head.chunked:
        return TRANSFER_CODING_UNKNOWN
    head.chunked = True
    return None


def _note_expect(head: RequestHead, value: bytes) -> None:
    head.expect = _with_words(head.expect, value)


def _note_content_encoding(head: RequestHead, value: bytes) -> None:
    head.encodings = _with_words(head.encodings, value)


def _with_words(words: bytes, value: bytes) -> bytes:
    """Return a list of words with those of one more field line; empty ones do not count (RFC 9110, 5.6.1)."""
    return b",".join(word for part in (words, *value.lower().split(b",")) if (word := part.strip(_WHITE)))


def _note_forwarded_for(head: RequestHead, value: bytes) -> None:
    value = value.strip(_WHITE)
    head.forwarded_for += b"," + value if head.forwarded_for else value


_NOTED: Final[dict[bytes, Callable[[RequestHead, bytes], Refused | None]]] = {
    b"host": _note_host,
    b"content-length": _note_content_length,
    b"transfer-encoding": _note_transfer_encoding,
    b"expect": _note_expect,
    b"content-encoding": _note_content_encoding,
    b"x-forwarded-for": _note_forwarded_for,
}
