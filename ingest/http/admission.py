"""
Admits requests: facts of a request's head and the rules → admitted, or a refusal. Pure.

A path is compared as clients that put a URL together by hand, or encode it with care, may write it: a doubled slash is
forgiven, slashes and white space at the end in every order, and percent codes of characters that need none. Any other
code is simply another path.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from ingest.causes import Cause

_CALLBACKS: Final = b"/callbacks"
# Letters, digits and `-._~` mean the same with and without their code (RFC 3986, 6.2.2.2). Secrets have no others.
_NEEDLESS_CODE: Final = re.compile(rb"%(2[DE]|3\d|4[1-9A-F]|5[\dAF]|6[1-9A-F]|7[\dAE])", re.IGNORECASE)
_WHITE: Final = (b"%20", b"%09", b"%0A", b"%0a", b"%0D", b"%0d")


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is answered with `status` and then cut off; `fields` are header lines of that answer."""

    status: int
    cause: Cause
    fields: bytes = b""


NOT_FOUND: Final = Refused(404, Cause.NOT_FOUND)
GUESSED: Final = Refused(404, Cause.GUESS)
"""As NOT_FOUND, of an address that guesses secrets: its answer is held back."""
ADDRESS_NOT_ALLOWED: Final = Refused(403, Cause.ADDRESS)
ONLY_POST: Final = Refused(405, Cause.METHOD, b"allow: POST\r\n")
LENGTH_REQUIRED: Final = Refused(411, Cause.NO_LENGTH)
BODY_TOO_LARGE: Final = Refused(413, Cause.TOO_LARGE)
TARGET_TOO_LONG: Final = Refused(414, Cause.HEAD_TOO_LARGE)
HEAD_TOO_LARGE: Final = Refused(431, Cause.HEAD_TOO_LARGE)
ENCODING_UNKNOWN: Final = Refused(415, Cause.ENCODING, b"accept-encoding: gzip\r\n")
EXPECTATION_UNKNOWN: Final = Refused(417, Cause.EXPECTATION)
MALFORMED: Final = Refused(400, Cause.MALFORMED)
TRANSFER_CODING_UNKNOWN: Final = Refused(501, Cause.MALFORMED)
TOO_SLOW: Final = Refused(408, Cause.SLOW)
TOO_MUCH_PENDING: Final = Refused(503, Cause.OVERLOAD, b"retry-after: 2\r\n")


class RequestHead:
    """
    The facts of one request's head that decide about it. Reused by its connection for request after request.

    `content_length` is None when the field is missing; `expect` and `encodings` are lists of words in lower case, with
    commas and without white space.
    """

    __slots__ = (
        "chunked",
        "content_length",
        "encodings",
        "expect",
        "forwarded_for",
        "hosts",
        "method",
        "minor",
        "target",
    )

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the request before."""
        self.method: bytes = b""
        self.target: bytes = b""
        self.minor: int | None = None
        self.hosts: int = 0
        self.content_length: int | None = None
        self.chunked: bool = False
        self.expect: bytes = b""
        self.encodings: bytes = b""
        self.forwarded_for: bytes = b""

    @property
    def gzipped(self) -> bool:
        """Whether the body must be inflated before it is looked at."""
        return self.encodings in _GZIP

    @property
    def encoded_otherwise(self) -> bool:
        """Whether the body is said to be in an encoding that is not undone; senders name charsets there, too."""
        return self.encodings not in _IDENTITY and not self.gzipped


_CONTINUE: Final = b"100-continue"
_GZIP: Final = (b"gzip", b"x-gzip")
_IDENTITY: Final = (b"", b"identity")


class Rules:
    """The settings that decide about a head: where callbacks may be posted, and how long a body may be."""

    __slots__ = ("callback_paths", "guarded", "max_body_bytes")

    def __init__(self, secrets: Sequence[str], max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.guarded = bool(secrets)
        self.callback_paths = [b"%s/%s" % (_CALLBACKS, secret.encode()) for secret in secrets] or [_CALLBACKS]


def admit(head: RequestHead, rules: Rules, *, address_allowed: bool) -> Refused | None:
    """
    Decide about one request from its head alone; None admits it.

    The address is judged before the secret, so that an address that is not allowed learns nothing about it.
    """
    if not _well_formed(head):
        return MALFORMED
    path = _normal(path_of(head.target))
    if not address_allowed and path.startswith(_CALLBACKS):
        return ADDRESS_NOT_ALLOWED
    if not _is_callback_path(path, rules.callback_paths):
        return NOT_FOUND
    return _refuse_callback(head, rules)


def path_of(target: bytes) -> bytes:
    """Return the path of a request target in origin form or absolute form, without its query, undecoded."""
    path = target.partition(b"?")[0]
    if path[:1] == b"/":
        return path
    scheme, found, rest = path.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        return b""
    return rest[rest.find(b"/") :] if b"/" in rest else b"/"


def right_path(rules: Rules) -> str:
    """Return the path at which callbacks are taken, for people: a secret is masked."""
    return "/callbacks/*** (a secret of INGEST_SECRETS in place of ***)" if rules.guarded else "/callbacks"


def fault_of(target: bytes, rules: Rules) -> str:
    """Return why a target is not where callbacks are taken, as a phrase for people. Quotes nothing of it."""
    path = _normal(path_of(target))
    if path == _CALLBACKS:
        return "has no secret behind /callbacks"
    if not path.startswith(_CALLBACKS + b"/"):
        return "does not begin with /callbacks"
    return f"goes on behind /callbacks with {'no secret of INGEST_SECRETS' if rules.guarded else 'something else'}"


def _well_formed(head: RequestHead) -> bool:
    """Whether a head has one reading: the parser lets through some that RFC 9112 forbids or proxies read otherwise."""
    if head.minor is None or head.hosts > 1 or (head.minor == 1 and head.hosts == 0):
        return False
    return not (head.chunked and (head.content_length is not None or head.minor == 0))


def _normal(path: bytes) -> bytes:
    """Return a path in the one spelling that is compared; see above."""
    if b"%" in path:
        path = path.rstrip(b"/")
        while path.endswith(_WHITE):
            path = path[:-3].rstrip(b"/")
        path = _NEEDLESS_CODE.sub(lambda code: bytes.fromhex(code[1].decode()), path)
    if b"//" in path or path[-1:] == b"/":
        path = b"/" + b"/".join(filter(None, path.split(b"/")))
    return path


def _is_callback_path(path: bytes, callback_paths: Sequence[bytes]) -> bool:
    """Compare with every secret, each in constant time: the time it takes tells nothing about the secrets."""
    found = False
    for expected in callback_paths:
        found |= compare_digest(path, expected)
    return found


def _refuse_callback(head: RequestHead, rules: Rules) -> Refused | None:
    if head.method != b"POST":
        return ONLY_POST
    if head.content_length is None:
        if not head.chunked:
            return LENGTH_REQUIRED  # a body may follow, and nothing says where it ends
    elif head.content_length > rules.max_body_bytes:
        return BODY_TOO_LARGE
    if head.expect and set(head.expect.split(b",")) != {_CONTINUE}:
        return EXPECTATION_UNKNOWN
    return None
