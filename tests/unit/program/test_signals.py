"""The signals that end a program."""

import signal
from collections.abc import Iterator

import pytest

from streams.program.signals import ending_signals


@pytest.fixture(autouse=True)
def _hangup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_a_program_like_a_stop() -> None:
    assert ending_signals() == (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def test_a_hangup_that_nohup_has_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert ending_signals() == (signal.SIGTERM, signal.SIGINT)
