"""
The log files of the programs: not let grow for ever, and read for what people should see at once.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

_SERIOUS: Final = frozenset({"warning", "error", "critical"})
# They say again and again, in several ways, that Kafka is away; the programs say it once.
_CHATTY: Final = frozenset({"aiokafka", "kafka"})
_COMMON: Final = frozenset({"time", "level", "program", "logger", "message", "exception"})
_TEXT_LEVEL: Final = re.compile(r"^\S+ (\w+) ")
_READ_BYTES: Final = 1 << 20


def keep_within(log: Path, size: int) -> None:
    """Put a log aside as `….log.1`, in place of the one before, when it is longer than so many bytes."""
    if log.exists() and log.stat().st_size > size:
        log.replace(log.with_suffix(".log.1"))


class Follower:
    """
    Reads on in growing log files of the project's programs and picks the warnings and errors.

    Not those of Kafka's clients, as far as the form of the lines tells them.
    """

    def __init__(self, logs: Iterable[Path]) -> None:
        self._offsets = {log: log.stat().st_size if log.exists() else 0 for log in logs}

    def serious_lines(self) -> Iterator[str]:
        """Yield `program: message` for each warning and error since the last call, in the order of each file."""
        for log in self._offsets:
            for line in self._new_lines(log):
                if message := _serious(line):
                    yield f"{log.stem}: {message}"

    def _new_lines(self, log: Path) -> list[str]:
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(self._offsets[log])
            whole, newline, _ = file.read(_READ_BYTES).rpartition(b"\n")
        self._offsets[log] += len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines()


def message_of(line: str) -> str:
    """Return what a log line says: the message of a JSON line with its exception, any other line as it is."""
    fields = _fields(line)
    return " ".join(str(fields[name]) for name in ("message", "exception") if name in fields) if fields else line


def _serious(line: str) -> str | None:
    """Return what a log line says, in either of the forms of `LOG_FORMAT`, when it is a warning or worse."""
    if fields := _fields(line):
        chatty = str(fields.get("logger")).partition(".")[0] in _CHATTY
        return None if chatty or fields.get("level") not in _SERIOUS else _told(fields)
    level = _TEXT_LEVEL.match(line)
    return line if level and level.group(1) in _SERIOUS else None


def _told(fields: dict[str, Any]) -> str:
    more = ", ".join(f"{name}={value}" for name, value in fields.items() if name not in _COMMON)
    return f"{fields.get('message', '')}" + (f" ({more})" if more else "")


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
