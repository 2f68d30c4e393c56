"""
Files with certificates and keys: their faults, each told with the setting that names the file, and their end.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

NO_PASSWORD: Final = ""
"""Handed to OpenSSL for every key: without it, OpenSSL asks the terminal for the password of an encrypted key."""

_KEY: Final = b"PRIVATE KEY-----"
_PEM: Final = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def pair_problems(named: Mapping[str, Any], setting: str, key_setting: str) -> Iterator[str]:
    """Yield a line for each file of a certificate and its key; `named` has the settings that are valid, by field."""
    file, settings = named.get(setting), (setting.upper(), key_setting.upper())
    if file and key_setting in named:
        yield from certificate_problems(settings[0], file, settings[1], named[key_setting])
    elif file:  # the fault of the key's setting is told already
        yield from certificates_problems(settings[0], file)


def certificates_problems(setting: str, file: str) -> Iterator[str]:
    """Yield a line when there is no certificate in a file."""
    if reason := _unreadable(file) or _no_certificate(file):
        yield f"{setting}={file}: {reason}"


def certificate_problems(setting: str, file: str, key_setting: str, key_file: str | None) -> Iterator[str]:
    """
    Yield a line for each of both files that cannot be used, or one for both when they do not belong together.

    Without a file of its own, the key is looked for in that of the certificate.
    """
    wrong = [(f"{setting}={file}", _unreadable(file) or _no_certificate(file))]
    if key_file:
        wrong += [(f"{key_setting}={key_file}", _unreadable(key_file) or _no_key(key_file))]
    elif not wrong[0][1]:
        wrong += [(f"{setting}={file}", _no_key(file, f", and {key_setting} is not set"))]
    lines = [f"{named}: {reason}" for named, reason in wrong if reason]
    yield from lines
    if not lines and (reason := _no_pair(file, key_file)):
        yield f"{', '.join(named for named, _ in wrong)}: {reason}"


def _unreadable(file: str) -> str | None:
    try:
        Path(file).read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _no_certificate(file: str) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:  # ssl's errors are some of these
        return f"no certificate is in it ({_words(error)})"
    return None


def _no_key(file: str, besides: str = "") -> str | None:
    return None if _KEY in Path(file).read_bytes() else f"no private key is in it{besides}"


def _no_pair(file: str, key_file: str | None) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, key_file, password=NO_PASSWORD)
    except OSError as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
        return f"the key cannot be read; one with a password cannot be used ({_words(error)})"
    return None


def _words(error: OSError) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or str(error)


def end_of_certificate(file: str) -> float | None:
    """
    Return until when the first certificate of a file is valid, in seconds since 1970 UTC; None when it cannot be read.

    Python shows this date of a certificate of the other side only, not of one's own.
    """
    try:
        found = _PEM.search(Path(file).read_text(encoding="latin-1"))
        return _not_after(ssl.PEM_cert_to_DER_cert(found[0])) if found else None
    except (OSError, ValueError, IndexError):
        return None


_TAGGED_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17


def _not_after(der: bytes) -> float:
    """Read the end of validity of a certificate (RFC 5280, 4.1). ValueError or IndexError for other bytes."""
    ((_, certificate),) = _elements(der)
    (_, signed), *_ = _elements(certificate)
    fields = list(_elements(signed))
    if fields[0][0] == _TAGGED_VERSION:
        del fields[0]
    _number, _algorithm, _issuer, (_, validity) = fields[:4]
    kind, text = list(_elements(validity))[1]
    form = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element of DER."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:  # so many bytes of length follow
            at, length = at + (length & 0x7F), int.from_bytes(der[at : at + (length & 0x7F)])
        yield tag, der[at : at + length]
        at += length
