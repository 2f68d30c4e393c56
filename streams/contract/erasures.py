"""
Erasures: the recipients whose data every worker and every sink takes out, and keeps out. No number is in them.

A recipient is compared by its mark, an HMAC under ERASURE_KEY. An erasure covers an SMS of that recipient when any of
the moments of the SMS lies before it. A later SMS of the same number may be that of another person.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from unicodedata import decimal
from urllib.parse import unquote

from pydantic import ValidationError

from streams.contract.records import Erasure

__all__ = [
    "BLANKED",
    "GAPS",
    "KEY_BYTES",
    "MOMENTS",
    "NUMBER",
    "AnotherKeyError",
    "Erasure",
    "Erasures",
    "Marks",
    "NotAnErasureError",
    "Reading",
    "moment_of",
    "normal_form",
    "plain_digits",
    "recipients_in",
    "uncovered",
]

KEY_BYTES: Final = 32
"""The least that ERASURE_KEY has: with a key that can be guessed, every number can be found from its mark."""

BLANKED: Final = ("recipient", "message", "label")
"""The fields of `sms.status` that are null where an erasure covers the SMS."""

MOMENTS: Final = ("first_received_at", "status_updated_at", "queued_at", "sent_at", "final_at")
"""The moments of an SMS among the fields of `sms.status`: its first receipt, and the dates that Routee gave."""

# White space, invisible characters, and the dashes and wide forms of other keyboards come from copying a number.
GAPS: Final = (
    r"\s\-.()/\u00ad\u2010-\u2015\u2212\uff08\uff09\uff0d-\uff0f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
)
"""The characters between the digits of written numbers, for a set of a pattern."""

NUMBER: Final = re.compile(rf"[\d+\uff0b{GAPS}]*")
"""A text that has only the characters of written numbers; it may have no digit."""

_DIGEST: Final = "sha256"
_KEY_ID_OF: Final = b"routee-erasures"
_KEY_ID_DIGITS: Final = 16
_DIGEST_BYTES: Final = 8
_REMEMBERED_MARKS: Final = 65_536
_MASK: Final = "***"
_NO_DIGIT: Final = re.compile("[^0-9]+")
# In bytes that are no JSON: `to`, alone as a name, and its value.
_TO: Final = re.compile(r"""(?<![\w])to["']?\s*[:=>][\s\[]*["']?([^"',&<}\]\r\n]+)""", re.IGNORECASE)
# JSON's escapes; those of a text in a text have several backslashes.
_ESCAPE: Final = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class AnotherKeyError(ValueError):
    """An erasure was made with another key than ERASURE_KEY, or there is no key: nothing can be compared with it."""


class NotAnErasureError(ValueError):
    """A record of the topic is no erasure that this version can read: the numbers that it stands for are unknown."""


class Reading:
    """
    Reads the records of the topic, in order, for every program that does.

    A record that is no erasure may stand for a number, which would come back: so `check` refuses to go on with it. It
    counts no more once a record of its key comes after it, one without a value too, as on every compacted topic.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._unreadable: dict[bytes | None, int] = {}

    def read(self, offset: int, key: bytes | None, value: bytes | None) -> Erasure | None:
        """Return the erasure of the next record; None for one without a value, and for one that `check` refuses."""
        self._unreadable.pop(key, None)
        if value is None:
            return None
        try:
            return Erasure.model_validate_json(value)
        except ValidationError:
            self._unreadable[key] = offset
            return None

    def check(self) -> None:
        """Raise NotAnErasureError when a record that was read is no erasure; call it at the end of the topic."""
        for offset in self._unreadable.values():
            raise NotAnErasureError(
                f"{self._topic} offset {offset} is no erasure, and a number that it stands for would come back. If a "
                "later version wrote it, upgrade this program; else write a record with its key and no value behind it"
            )


class Marks:
    """The marks of recipients under one key, of KEY_BYTES bytes or more (ValueError)."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"at least {KEY_BYTES} bytes are needed")
        self.key_id: Final = hmac.digest(key, _KEY_ID_OF, _DIGEST).hex()[:_KEY_ID_DIGITS]
        self._keyed: Final = hmac.new(key, digestmod=_DIGEST)
        # The SMS of a campaign come with several callbacks each; and a cache of each instance dies with it.
        self._marked = lru_cache(maxsize=_REMEMBERED_MARKS)(self._mark)

    def of(self, recipient: str) -> str | None:
        """Return the mark of a recipient in any spelling; None for a masked or empty one."""
        form = normal_form(recipient)
        return None if form is None else self._marked(form)

    def _mark(self, form: str) -> str:
        keyed = self._keyed.copy()  # a quarter of the cost of beginning with the key
        keyed.update(form.encode(errors="backslashreplace"))  # half of a pair of surrogates is in no number
        return keyed.hexdigest()


def normal_form(recipient: str) -> str | None:
    """
    Return the one form of all spellings of a recipient, None for a masked or empty one.

    The digits of a number, without `+` or `00`; any other text, such as a pseudonym, in lower case.
    """
    digits = recipient[1:]
    if recipient[:1] == "+" and digits.isascii() and digits.isdecimal() and digits[:2] != "00":
        return digits  # nearly every one, at a tenth of the cost
    if not NUMBER.fullmatch(recipient):
        text = recipient.strip().lower()
        return None if _MASK in text else text or None
    return _NO_DIGIT.sub("", plain_digits(recipient)).removeprefix("00") or None


def plain_digits(text: str) -> str:
    """Return a text with the digits and plus signs of other scripts as those of ASCII."""
    if text.isascii():
        return text
    return "".join(str(decimal(one)) if one.isdecimal() else one for one in text.replace("\uff0b", "+"))


def uncovered(text: str) -> str:
    """Return a text with its escapes of JSON, of any depth, and its percent codes resolved."""
    return unquote(_ESCAPE.sub(_character, text) if "\\" in text else text)


def _character(escape: re.Match[str]) -> str:
    code, character = escape.groups()
    return chr(int(code, 16)) if code else _ESCAPED.get(character, character)


class Erasures:
    """
    The erasures that are known; none at first. While there are none it is false, and nothing need be compared.

    `marks` are those of ERASURE_KEY, None when it is not set.
    """

    def __init__(self, marks: Marks | None = None) -> None:
        self._marks = marks
        self._latest: dict[str, datetime] = {}
        self.latest: datetime | None = None
        """The moment of the latest of all erasures, None while there are none."""
        self._digest = 0

    def __bool__(self) -> bool:
        return bool(self._latest)

    def __len__(self) -> int:
        return len(self._latest)

    def with_more(self, more: Iterable[Erasure]) -> "Erasures":
        """Return these erasures and more ones, all made with the same key; these stay as they are."""
        grown = Erasures(self._marks)
        grown._latest, grown._digest, grown.latest = {**self._latest}, self._digest, self.latest
        for erasure in more:
            grown.add(erasure)
        return grown

    def require_key(self, erasure: Erasure) -> None:
        """Raise AnotherKeyError when nothing can be compared with an erasure."""
        if self._marks is None:
            raise AnotherKeyError("there are erasures, and ERASURE_KEY is not set: set the key they were made with")
        if erasure.key_id != self._marks.key_id:
            raise AnotherKeyError("an erasure was made with another ERASURE_KEY: set the key it was made with")

    def add(self, erasure: Erasure) -> None:
        """Add an erasure, the latest of a mark stands; AnotherKeyError when nothing can be compared with it."""
        self.require_key(erasure)
        known = self._latest.get(erasure.mark)
        if known is None or known < erasure.at:
            self._latest[erasure.mark] = erasure.at
            self._digest ^= _digest(erasure.mark, erasure.at) ^ (0 if known is None else _digest(erasure.mark, known))
        self.latest = erasure.at if self.latest is None else max(self.latest, erasure.at)

    @property
    def digest(self) -> bytes:
        """Return a text that is the same for the same erasures, in any order of adding them."""
        return b"%016x" % self._digest

    def erased_at(self, recipient: str | None) -> datetime | None:
        """Return the moment of the recipient's latest erasure, None when there is none."""
        mark = self._marks.of(recipient) if recipient and self._marks and self._latest else None
        return None if mark is None else self._latest.get(mark)

    def covers(self, recipient: str | None, *moments: datetime | None) -> bool:
        """
        Tell whether an SMS is to be erased: its recipient is, at a time that any of its moments lies before.

        Its moments are its first receipt and every date that Routee gave it, with a time zone; None where unknown.
        """
        at = self.erased_at(recipient)
        return at is not None and any(moment is not None and moment < at for moment in moments)

    def covers_body(self, body: bytes, received: datetime) -> bool:
        """Tell whether a refused body, received then, is to be erased: any recipient found in it is."""
        return bool(self) and any(self.covers(recipient, received) for recipient in recipients_in(body))


def _digest(mark: str, at: datetime) -> int:
    told = f"{mark} {at.astimezone(UTC).isoformat()}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:_DIGEST_BYTES])


def recipients_in(body: bytes) -> Iterator[str]:
    """Yield each recipient that the bytes of a callback name as `to`, as far as they can be read; any bytes will do."""
    text = body.decode(errors="replace")
    try:
        found = [*_named_to(json.loads(text))]
    except (ValueError, RecursionError):
        found = []
    # A field may also lie in a text that is JSON itself, or behind the place where JSON ends.
    yield from dict.fromkeys((*found, *_TO.findall(text), *_TO.findall(uncovered(text))))


def _named_to(value: Any, *, is_to: bool = False) -> Iterator[str]:  # noqa: ANN401 - JSON is any
    """Yield each leaf of a document that is a value of `to`, or lies in one."""
    match value:
        case list():
            for inner in value:
                yield from _named_to(inner, is_to=is_to)
        case dict():
            for name, inner in value.items():
                yield from _named_to(inner, is_to=is_to or name.strip().lower() == "to")
        case float() if is_to:
            yield f"{value:.0f}"
        case str() | int() if is_to:
            yield str(value)


def moment_of(epoch_ms: int) -> datetime:
    """Return a moment from milliseconds since 1970-01-01 UTC."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
