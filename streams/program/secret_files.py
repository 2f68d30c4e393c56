"""
A secret in a file of its own: `NAME_FILE` names the file that holds the secret setting `NAME`.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from stat import S_ISREG
from typing import Final

_MOST_BYTES: Final = 65_536
# Some editors put a mark before UTF-8, which would become part of the secret.
_ENCODING: Final = "utf-8-sig"
_LINE_END: Final = re.compile(r"\r?\n\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# The value names no file at all: it may be the secret itself.
_NO_PATH: Final = frozenset({ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP})


@dataclass(frozen=True, slots=True)
class UnusableSecret:
    """Stands for a secret that cannot be had. No setting accepts it; `line` says why, without value or content."""

    line: str


def file_setting(name: str) -> str:
    """Return the variable that names the file of the secret variable `name`."""
    return f"{name}_FILE"


def without_files(names: Iterable[str]) -> dict[str, str]:
    """Return the environment that keeps a child process from files of these secrets: it is told the secrets."""
    return {file_setting(name): "" for name in names}


def secrets_from_files(
    names: Iterable[str], variables: Mapping[str, str | None]
) -> Iterator[tuple[str, str | UnusableSecret]]:
    """
    Yield each secret variable that a file is named for, with the content of the file or the reason against it.

    A file has one line of UTF-8, of 64 KiB at most; the end of the line is no part of the secret. An empty variable is
    not set. Two variables for one secret are refused: a program cannot know which one is the old one.
    """
    for name in names:
        variable = file_setting(name)
        if not (path := variables.get(variable)):
            continue
        if variables.get(name):
            yield name, UnusableSecret(f"{name} and {variable} are both set: set one of them, leave the other empty")
            continue
        try:
            yield name, _read(path)
        except _FileError as error:
            yield name, UnusableSecret(f"{variable}{error}")


class _FileError(Exception):
    """A file has no secret. `str()` follows the name of the setting."""


def _read(path: str) -> str:
    try:
        content = _content(path)
    except OSError as error:
        told = "" if error.errno in _NO_PATH else f"={path}"
        raise _FileError(f"{told}: {error.strerror}") from None
    except ValueError:  # a zero byte
        raise _FileError(": a path is expected") from None
    if reason := _fault(content):
        raise _FileError(f"={path}: {reason}")
    return _text(content)


def _content(path: str) -> bytes:
    # A pipe that has no writer would hold up the start for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _FileError(f"={path}: it is not a regular file")
        return file.read(_MOST_BYTES + 1)


def _fault(content: bytes) -> str | None:
    """Return why a content is no secret."""
    if len(content) > _MOST_BYTES:
        return f"it is longer than {_MOST_BYTES} bytes"
    try:
        secret = _text(content)
    except UnicodeDecodeError:
        return "it is not a text in UTF-8"
    if not secret.strip():
        return "it is empty"
    if "\n" in secret or "\r" in secret:
        return "it has more than one line, and the secret has to be the only one"
    return "it has control characters" if _CONTROL.search(secret) else None


def _text(content: bytes) -> str:
    return _LINE_END.sub("", content.decode(_ENCODING))
