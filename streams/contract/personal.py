"""
Numbers, texts and one-time codes in the bodies of callbacks, found by the names of their fields. Pure.

A refused body is kept as evidence, and its kind is not known: it may be of any channel, and of any nesting and
spelling. So every field that may hold a number or a text is looked at, in every object of the body.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson

from streams.contract.erasures import GAPS

_DEEPEST: Final = 50
"""Deeper bodies are not looked at, and so not kept where anything is withheld; Routee's have 3 levels."""

_NUMBERS: Final = frozenset(
    """
    to recipient recipients recipientnumber destination destinationnumber destinationaddress msisdn phone phones
    phonenumber phonenumbers mobile mobilenumber cellphone tel telephone number numbers subscriber contact
    """.split()  # noqa: SIM905 - a list of words, here and below
)
_SENDERS: Final = frozenset(
    "from sender senderid source sourceaddress originator caller callerid".split()  # noqa: SIM905
)
"""A name of a company, or with an inbound message a person's number."""
_TEXTS: Final = frozenset(
    """
    message messages messagebody messagetext text texts body bodytext content contents sms smstext smsbody msg payload
    subject title caption html data
    """.split()  # noqa: SIM905
)
_CODE_NAMES: Final = frozenset(
    "otp otpcode pin pincode passcode verificationcode onetimecode onetimepassword".split()  # noqa: SIM905
)
"""Fields that hold a one-time code; no other callback has them."""
_SERVICES: Final = frozenset(
    "originatingservice service servicename type channel product application".split()  # noqa: SIM905
)
_CODE_SERVICES: Final = frozenset(
    """
    twostep twostepverification 2step 2stepverification 2fa twofactor otp onetimepassword onetimecode verify
    verification
    """.split()  # noqa: SIM905
)
_IDS: Final = frozenset(
    """
    messageid smsid trackingid campaigntrackingid applicationid id status detailedstatus updateddate updatedat date
    createdat receiveddate receivedat datetime type originatingservice country operator direction part parts latency
    price strategy final event ttl order failoveronstatuses
    """.split()  # noqa: SIM905
)
"""Fields that tell which callback it is and why it was refused; never a number or a text."""
_PERSONAL: Final = _NUMBERS | _TEXTS
_KNOWN: Final = _PERSONAL | _SENDERS | _IDS
_OF_CODES: Final = _IDS | {"name", "reason", "description"}
_NOT_A_LETTER: Final = re.compile(r"[^a-z0-9]+")
# Seven digits or more, also written with gaps. A date looks like that, too.
_NUMBER: Final = re.compile(rf"[+\uff0b]?\d(?:[{GAPS}]{{0,3}}\d){{6,}}")
_FULL_NUMBER: Final = re.compile(rf"\s*(?:[+\uff0b]|00)[\d{GAPS}]{{6,24}}\s*")
_SHORTEST_NUMBER: Final = 7
# Finds at least all that `_holds_code` finds; a letter of ASCII that is written as an escape may be a part of it.
_MAY_HOLD_CODE: Final = re.compile(
    rb"(?:two|2)[^a-z0-9]{0,3}(?:step|factor)|one[^a-z0-9]{0,3}time|verif|application[^a-z0-9]{0,3}id"
    rb"|(?<![a-z0-9])(?:otp|2[^a-z0-9]{0,3}fa(?![a-z0-9])|pin(?![a-z0-9])|pin[^a-z0-9]{0,3}code)"
    rb"|pass[^a-z0-9]{0,3}code|\\u00[4-7]",
    re.IGNORECASE,
)


_UNREADABLE: Final = object()


class Withholding(NamedTuple):
    """The parts of a refused body that are not kept; the text of a one-time code never is."""

    number: Callable[[str], str | None] | None = None
    """Gives the form in which a number is kept; None: as it is."""
    drops_texts: bool = False
    masks_texts: bool = False
    """Whether numbers within labels, names and texts are masked."""

    @property
    def is_any(self) -> bool:
        """Whether anything but one-time codes is withheld."""
        return self.number is not None or self.drops_texts or self.masks_texts


CODES_ONLY: Final = Withholding()
ALL_PERSONAL: Final = Withholding(lambda _: None, drops_texts=True, masks_texts=True)
"""Every setting at its strictest."""


class Kept(NamedTuple):
    """The kept bytes of a refused body, and whether they differ from the posted ones."""

    body: bytes
    redacted: bool


def kept_body(body: bytes, withholding: Withholding) -> Kept:
    """
    Return a refused body without the numbers and texts that are withheld: byte for byte when it has none.

    Bytes that are not JSON cannot be looked at. Nothing of them is kept when anything is withheld, or when they may be
    of a one-time code.
    """
    if not withholding.is_any and not may_hold_code(body):
        return Kept(body, redacted=False)
    document = _read(body)
    if document is _UNREADABLE:
        return Kept(b"", redacted=bool(body))
    is_of_code = _holds_code(document)
    if not withholding.is_any and not is_of_code:
        return Kept(body, redacted=False)
    again = _Redaction(withholding, is_of_code=is_of_code).document(document)
    return Kept(body, redacted=False) if again == document else Kept(_written(again), redacted=True)


def may_hold_code(body: bytes) -> bool:
    """Tell whether a body may be of a one-time code, as far as a search of its bytes tells."""
    return _MAY_HOLD_CODE.search(body.replace(b"\0", b"")) is not None


def names_codes(service: object) -> bool:
    """Tell whether this word names a service of one-time codes, such as `TwoStep`, in any spelling."""
    return isinstance(service, str) and _bare(service) in _CODE_SERVICES


def without_numbers(text: str) -> str:
    """Return a text with `***` and the last three digits in place of each run of 7 digits or more, also with gaps."""
    return _NUMBER.sub(lambda found: f"***{_digits(found[0])[-3:]}", text)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _bare(name: str) -> str:
    return _NOT_A_LETTER.sub("", name.lower())


def _read(text: bytes | str) -> Any:  # noqa: ANN401 - JSON is any
    """Return the value of a JSON text; _UNREADABLE when it is none, or nested too deep."""
    try:
        if _is_too_deep(orjson.loads(text)):
            return _UNREADABLE
        # orjson leaves out all but the last of two fields of one name.
        return json.loads(text, object_pairs_hook=_with_doubles)
    except ValueError:
        return _UNREADABLE


def _is_too_deep(document: Any) -> bool:  # noqa: ANN401 - JSON is any
    level = _containers([document])
    for _ in range(_DEEPEST):
        level = _containers(item for value in level for item in (value.values() if isinstance(value, dict) else value))
    return bool(level)


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _with_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; the values of fields of one name as a list."""
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: several if len(several) > 1 else several[0] for name, several in values.items()}


def _written(document: Any) -> bytes:  # noqa: ANN401 - JSON is any
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")  # half of a pair of surrogates, as JSON writes it


def _holds_code(value: Any) -> bool:  # noqa: ANN401 - JSON is any
    """Tell whether any object in a body is of a one-time code."""
    match value:
        case dict():
            return any(_tells_code(_bare(name), content) or _holds_code(content) for name, content in value.items())
        case list():
            return any(map(_holds_code, value))
        case str():
            return _holds_code(inner) if (inner := _inner(value)) is not _UNREADABLE else False
        case _:
            return False


def _tells_code(name: str, content: Any) -> bool:  # noqa: ANN401 - JSON is any
    if name in _CODE_NAMES or name == "applicationid":
        return True
    words = content if isinstance(content, list) else [content]
    return name in _SERVICES and any(map(names_codes, words))


def _inner(text: str) -> Any:  # noqa: ANN401 - JSON is any
    """Return the object or array that is written in a text; _UNREADABLE when there is none."""
    return _read(text) if text.lstrip().startswith(("{", "[")) else _UNREADABLE


class _Redaction:
    """Makes the kept form of one body."""

    def __init__(self, withholding: Withholding, *, is_of_code: bool) -> None:
        self._number = withholding.number
        self._drops_texts = withholding.drops_texts or is_of_code
        self._masks_texts = withholding.masks_texts
        self._is_of_code = is_of_code

    def document(self, value: Any) -> Any:  # noqa: ANN401 - JSON is any
        """Return the kept form of a whole body; one that is nothing but a text is a text."""
        return self._value(value, "" if isinstance(value, dict | list) else "text")

    def _value(self, value: Any, name: str) -> Any:  # noqa: ANN401 - JSON is any
        """Return the kept form of a value; `name` is that of its field, or of the field with the list around it."""
        match value:
            case dict():
                return {self._key(key): self._value(item, self._name(key, name)) for key, item in value.items()}
            case list():
                return [self._value(item, name) for item in value]
            case None | bool():
                return value
            case str() if (inner := _inner(value)) is not _UNREADABLE:
                again = self._value(inner, name)
                return value if again == inner else _written(again).decode()
            case _:
                return self._leaf(value, name)

    def _key(self, key: str) -> str:
        return without_numbers(key) if self._number is not None or self._masks_texts else key

    @staticmethod
    def _name(key: str, around: str) -> str:
        """Return the name by which a field is judged: within a number or a text, a field of no rule is one, too."""
        bare = _bare(key)
        return around if around in _PERSONAL and bare not in _KNOWN else bare

    def _leaf(self, value: Any, name: str) -> Any:  # noqa: ANN401 - a text or a number
        text = str(value)
        if name in _NUMBERS or (name in _SENDERS and len(_digits(text)) >= _SHORTEST_NUMBER):
            return value if self._number is None or not text else self._number(text)
        if name in _TEXTS and self._drops_texts:
            return None
        if self._is_of_code and name not in _OF_CODES and name not in _SENDERS:
            return None
        if self._number is not None and _FULL_NUMBER.fullmatch(text) and (name not in _IDS or "+" in text):
            return self._number(text.strip())
        if name in _IDS or not isinstance(value, str):
            return value
        return without_numbers(value) if self._masks_texts else value
