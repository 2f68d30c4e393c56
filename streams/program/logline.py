"""
One form of log line for every program: text for people, JSON for machines; never a message text, phone or secret.
"""

import faulthandler
import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import orjson

from streams.contract.codec import format_time
from streams.program.printable import printable, printable_json, printable_lines
from streams.program.settings import CommonSettings, setting_warnings

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


_OURS: Final = frozenset({"ingest", "streams", "sinks", "console", "sandbox"})

REPEAT_SECONDS: Final = 10.0
_LINES_REMEMBERED: Final = 1000


class Repeats(logging.Filter):
    """
    Lets the same line of a library through once in ten seconds; the next one says how many were `left_out`.

    Kafka's clients tell every attempt to reach a broker that is away, fifty lines a second. Our own lines all pass.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written."""
        if record.name.partition(".")[0] in _OURS:
            return True
        line, now = (record.name, record.getMessage()), self._clock()
        since, left_out = self._told.pop(line, (now - REPEAT_SECONDS, 0))
        passes = now - since >= REPEAT_SECONDS
        self._told[line] = (now, 0) if passes else (since, left_out + 1)
        if passes and left_out:
            vars(record)["left_out"] = left_out
        if len(self._told) > _LINES_REMEMBERED:
            del self._told[next(iter(self._told))]
        return passes


class _Line(logging.Formatter):
    """The fields every line has; the fields of `extra=` follow."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonLine(_Line):
    """`{"time": …, "level": …, "program": …, "logger": …, "message": …, …extra}`, one object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a value that JSON does not know is written as its `str()`."""
        line = {
            "time": format_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return printable_json(orjson.dumps(line, default=str).decode())
        except orjson.JSONEncodeError:  # half a character, in a name of a file or a variable
            return json.dumps(line, default=str)


class TextLine(_Line):
    """`09:16:54.500 info    ingest: message (name=value, …)`, with no control character: it is for terminals."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with a traceback below it when there is one."""
        time = format_time(datetime.fromtimestamp(record.created, UTC))[11:-1]
        fields = ", ".join(f"{name}={value}" for name, value in self._fields(record).items())
        line = f"{time} {record.levelname.lower():7} {self._program}: {record.getMessage()}"
        line = printable(f"{line} ({fields})" if fields else line)
        return f"{line}\n{printable_lines(self.formatException(record.exc_info))}" if record.exc_info else line


def configure_logging(program: str, settings: CommonSettings) -> None:
    """
    Send every log line of this process to standard error, in the form that `LOG_FORMAT` and `LOG_LEVEL` name.

    Libraries speak from WARNING on: their chatter costs time on hot paths and may quote secrets, texts and numbers. A
    line that they repeat is written once in a while.
    The first lines are the warnings of the settings. When a library in C crashes, the last lines say in plain text
    which calls of Python led there: names of files and functions, no values.
    """
    if not faulthandler.is_enabled():
        faulthandler.enable(sys.stderr)
    text = settings.log_format == "text" or (settings.log_format is None and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLine(program) if text else JsonLine(program))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    for line in setting_warnings(settings):
        logging.getLogger(__name__).warning(line)
