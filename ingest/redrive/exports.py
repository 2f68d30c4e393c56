"""
Files of refused callbacks, a line of JSON each: written by `--export`, corrected by people, read by `--import`.
"""

import os
from base64 import b64decode
from binascii import Error as Base64Error
from codecs import BOM_UTF8
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from ingest.callback.body import Rejected
from ingest.redrive.errors import FileError
from ingest.redrive.fates import MOST_BYTES, Judged, Refused, read_callback
from streams.contract.codec import format_time_ms
from streams.contract.refused import text_or_base64

_MOST_FAULTS: Final = 20


def write_export(file: Path, callbacks: Iterable[Judged]) -> None:
    """Write a file that only its owner may read; FileError when it exists already, or cannot be written."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            for one in callbacks:
                opened.write(orjson.dumps(_line(one)) + b"\n")
            opened.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise FileError(f"--export {file}: {error.strerror}") from error


def _line(one: Judged) -> dict[str, Any]:
    refused = one.refused
    text, base64 = text_or_base64(one.body, 10 * len(one.body) + 2)
    return {
        "rejected": refused.rejection,
        "reason": refused.reason,
        "why": one.why or None,
        "attempts": refused.attempts,
        "first_received_at": format_time_ms(refused.first_received_at_ms),
        "body": text,
        "body_base64": base64,
    }


def read_import(file: Path) -> list[tuple[Refused, bytes]]:
    """Return the callbacks of a file; FileError with a line for each fault, of 20 at most."""
    try:
        lines = file.read_bytes().removeprefix(BOM_UTF8).splitlines()  # some editors begin a file with it
    except OSError as error:
        raise FileError(f"--import {file}: {error.strerror}") from error
    found: dict[tuple[int, int], tuple[Refused, bytes]] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        read = _read(line)
        if isinstance(read, str):
            faults.append(f"--import {file}, line {number}: {read}")
        elif read[0].rejection in found:
            faults.append(f"--import {file}, line {number}: its callback stands in an earlier line, too")
        else:
            found[read[0].rejection] = read
    if len(faults) > _MOST_FAULTS:
        faults = [*faults[:_MOST_FAULTS], f"and {len(faults) - _MOST_FAULTS} more"]
    if faults:
        raise FileError("\n".join([*faults, "nothing was stored"]))
    return [*found.values()]


def _read(line: bytes) -> tuple[Refused, bytes] | str:
    try:
        told = orjson.loads(line)
        partition, offset = told["rejected"]
        first = datetime.fromisoformat(told["first_received_at"]).astimezone(UTC)
        at_ms, attempts, reason = round(first.timestamp() * 1000), int(told["attempts"]), str(told["reason"])
        rejection = (int(partition), int(offset))
    except (ValueError, KeyError, TypeError, OverflowError):
        return "it is no line of an export: only `body` may be changed, or whole lines be left out"
    body = _body(told)
    if body is None:
        return "`body` is a text with the callback, or `body_base64` its bytes"
    read = read_callback(body)
    if isinstance(read, Rejected):
        return f"still no callback ({read.reason}: {read.detail}): correct `body`, or leave the line out"
    if len(read[1]) > MOST_BYTES:
        return f"it is longer than {MOST_BYTES:,} bytes: shorten `body`, or leave the line out"
    return Refused(rejection, reason, at_ms, None, body, attempts), body


def _body(told: dict[str, Any]) -> bytes | None:
    text, base64 = told.get("body"), told.get("body_base64")
    if isinstance(text, dict):  # corrected as an object, which is easier to the hand
        return orjson.dumps(text)
    if isinstance(text, str):
        return text.encode()
    try:
        return b64decode(base64, validate=True) if isinstance(base64, str) else None
    except Base64Error:
        return None
