"""
Bytes that reach a callback URL and are no callback that the pipeline could count.

Every body here must be refused; each kind has the reasons that may be given for it.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from sandbox.emulator.traffic.chance import uuid
from sandbox.emulator.traffic.model import Malformed

_NESTING: Final = 10_000
_TIMES_TOO_LONG: Final = 256

_NOT_JSON: Final = ("not-json",)
_NOT_OBJECT: Final = ("not-object",)
_NO_KEY: Final = ("no-key",)
_SHAPE: Final = ("unknown-shape",)
_FIELD: Final = ("invalid-field", "unknown-shape")
_NO_KEY_IN_IT: Final = ("no-key", "not-json")

_INBOUND: Final = (
    '{"messageId":"{key}","from":"306900000000","to":"Shop","message":"STOP","parts":1,'
    '"originatingService":"Sms","direction":"Inbound","receivedDate":"2026-01-17T13:02:08Z"}'
)
_VIBER: Final = (
    '{"trackingId":"{key}","to":"+306900000000","from":"Shop",'
    '"status":{"name":"SEEN","updatedDate":"2026-01-17T13:02:08.123Z"},"body":{"text":"hello"}}'
)
_TWO_STEP: Final = (
    '{"applicationId":"a","trackingId":"{key}","recipient":"+306900000000","status":"Verified",'
    '"updatedAt":"2026-01-01T00:00:00Z"}'
)
# {key} is replaced by an id of its own, so that no two bodies are alike.
_TEXTS: Final = {
    "truncated": ('{"messageId":"{key}","status":{"name":"Deliv', _NOT_JSON),
    "HTML": ("<html><body>502 Bad Gateway <!-- {key} --></body></html>", _NOT_JSON),
    "form": ("messageId={key}&status=Delivered", _NOT_JSON),
    "array": ('[{"message_id":"{key}","event":"delivered"}]', _NOT_OBJECT),
    "two keys": ('{"messageId":"{key}","messageId":"{key}x","status":{"name":"Sent"},}', _NOT_JSON),
    "string": ('"{key}"', _NOT_OBJECT),
    "no key": ('{"smsId":"{key}","status":{"name":"Delivered"}}', _NO_KEY),
    "key is a fraction": ('{"messageId":1.7,"smsId":"{key}","status":{"name":"Delivered"}}', _NO_KEY),
    "key is empty": ('{"messageId":"","smsId":"{key}","status":{"name":"Delivered"}}', _NO_KEY),
    "lone surrogate": ('{"messageId":"{key}\\ud83d","status":{"name":"Sent"}}', _NO_KEY_IN_IT),
    "no status": ('{"messageId":"{key}","to":"+306900000000"}', _FIELD),
    "no status name": ('{"messageId":"{key}","status":{"updatedDate":"2026-01-01T00:00:00Z"}}', _FIELD),
    "inbound SMS": (_INBOUND, _SHAPE),
    "Viber": (_VIBER, _SHAPE),
    "two-step": (_TWO_STEP, _SHAPE),
}
_BYTES: Final[dict[str, tuple[Callable[[str], bytes], tuple[str, ...]]]] = {
    "not UTF-8": (lambda key: f'{{"messageId":"{key}Γειά"}}'.encode("iso-8859-7"), _NO_KEY_IN_IT),
    "UTF-16": (lambda key: f'{{"messageId":"{key}"}}'.encode("utf-16"), _SHAPE),
    "too deep": (lambda key: f'{{"messageId":"{key}","x":{"[" * _NESTING}{"]" * _NESTING}}}'.encode(), _SHAPE),
    "key is too long": (lambda key: f'{{"messageId":"{key * _TIMES_TOO_LONG}"}}'.encode(), _NO_KEY),
}


def malformed(random: Random) -> Malformed:
    """Return one body that must be refused."""
    kind, key = random.choice([*_TEXTS, *_BYTES]), uuid(random)
    if kind in _TEXTS:
        text, reasons = _TEXTS[kind]
        return Malformed(kind, text.replace("{key}", key).encode(), reasons)
    make, reasons = _BYTES[kind]
    return Malformed(kind, make(key), reasons)
