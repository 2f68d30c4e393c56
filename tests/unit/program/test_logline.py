import io
import json
import logging
import signal
import subprocess
import sys

import orjson
import pytest

from streams.program.logline import REPEAT_SECONDS, JsonLine, Repeats, TextLine, configure_logging
from streams.program.settings import CommonSettings


def _line(formatter: logging.Formatter, **extra: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger("ingest.test")
    logger.addHandler(handler)
    try:
        logger.warning("late by %d ms", 7, extra=extra)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


def test_a_json_line_carries_message_and_fields() -> None:
    line = orjson.loads(_line(JsonLine("ingest"), topic="routee.callbacks.raw"))
    assert line["message"] == "late by 7 ms"
    assert (line["program"], line["level"], line["topic"]) == ("ingest", "warning", "routee.callbacks.raw")


def test_a_text_line_reads_as_a_sentence_with_fields_behind() -> None:
    line = _line(TextLine("ingest"), partition=3)
    assert line.rstrip().endswith("warning ingest: late by 7 ms (partition=3)")


HOSTILE = "\x1b[2J\x9b31m\u202ex\r\nerror   ingest: forged \x7f\ud800"


def test_a_text_line_stays_one_line_and_tells_a_terminal_nothing() -> None:
    line = _line(TextLine("ingest"), campaign=HOSTILE)
    assert line.endswith("(campaign=\\x1b[2J\\x9b31m\\u202ex\\r\\nerror   ingest: forged \\x7f\\ud800)\n")
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "%s", (HOSTILE,), (KeyError, KeyError(HOSTILE), None))
    assert "\\x1b[2J" in TextLine("ingest").format(record)
    assert not set("\x1b\x9b\u202e\r\x7f\ud800") & set(TextLine("ingest").format(record))


@pytest.mark.parametrize("name", [HOSTILE, HOSTILE[:-1]])
def test_a_json_line_has_such_characters_as_escapes(name: str) -> None:
    line = _line(JsonLine("ingest"), campaign=name)
    assert line.rstrip("\n").isascii()
    assert json.loads(line)["campaign"] == name


class _Written:
    """The written lines; the test sets the time of each."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._repeats = Repeats(lambda: self.now)

    def line(self, logger: str, message: str) -> str | None:
        """Return the line, None when it is left out."""
        record = logging.LogRecord(logger, logging.WARNING, __file__, 1, message, None, None)
        return TextLine("streams").format(record).partition("streams: ")[2] if self._repeats.filter(record) else None


def test_what_a_library_repeats_is_written_once_in_a_while_and_says_how_much_was_left_out() -> None:
    written = _Written()
    assert written.line("aiokafka.conn", "broker 1 is away") == "broker 1 is away"
    for _ in range(40):
        assert written.line("aiokafka.conn", "broker 1 is away") is None
    assert written.line("aiokafka.conn", "broker 2 is away") == "broker 2 is away"
    written.now += REPEAT_SECONDS
    assert written.line("aiokafka.conn", "broker 1 is away") == "broker 1 is away (left_out=40)"
    assert written.line("aiokafka.conn", "broker 1 is away") is None
    written.now += REPEAT_SECONDS
    assert written.line("aiokafka.conn", "broker 2 is away") == "broker 2 is away"


def test_lines_of_our_own_are_never_left_out() -> None:
    written = _Written()
    assert [written.line("streams.errors", "the same") for _ in range(3)] == ["the same"] * 3


def test_of_lines_that_are_all_different_only_some_are_remembered() -> None:
    written = _Written()
    assert all(written.line("aiokafka", f"attempt {number}") for number in range(3_000))
    assert written.line("aiokafka", "attempt 0") == "attempt 0", "so long ago that it was forgotten"
    assert written.line("aiokafka", "attempt 2999") is None


def test_the_log_of_each_program_leaves_them_out(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # A check, which other tests run in this process, silences the library.
    caplog.set_level(logging.WARNING, logger="aiokafka")
    configure_logging("streams", CommonSettings(log_format="text"))
    for name in ("aiokafka.conn", "streams.errors"):
        for _ in range(3):
            logging.getLogger(name).warning("away: %s", name)
    told = capsys.readouterr().err
    assert [told.count(f"away: {name}") for name in ("aiokafka.conn", "streams.errors")] == [1, 3]


def test_a_crash_in_c_says_where_python_was() -> None:
    code = """
import os, signal
from streams.program.logline import configure_logging
from streams.program.settings import CommonSettings
def a_call_that_crashes(): os.kill(os.getpid(), signal.SIGSEGV)
configure_logging("streams", CommonSettings())
a_call_that_crashes()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGSEGV
    assert "in a_call_that_crashes" in ended.stderr
