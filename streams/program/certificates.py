"""
The faults of files with certificates and keys, each told with the setting that names the file.
"""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

NO_PASSWORD: Final = ""
"""Handed to OpenSSL for every key: without it, OpenSSL asks the terminal for the password of an encrypted key."""

_KEY: Final = b"PRIVATE KEY-----"


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
