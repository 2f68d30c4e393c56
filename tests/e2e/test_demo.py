"""
The demo, as a person starts it.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("routee-sandbox")
FOLDERS = "routee-demo-*"

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(240)]


def demo(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAM), "demo", "--recipients", "120", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)


def left_behind() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(FOLDERS))


@pytest.mark.full
def test_the_demo_succeeds_when_every_number_agrees() -> None:
    """Exit 0, in a pipe without a single escape sequence, and no folder stays."""
    before = left_behind()
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert "4 campaigns: every cell" in done.stdout
    assert left_behind() <= before


def test_the_demo_fails_when_one_callback_is_lost() -> None:
    """Exit 1, and what differs is the SMS that was hit, its message, its campaign and the books, nothing else."""
    before = left_behind()
    done = demo("--swallow-one")
    assert done.returncode == 1, done.stdout + done.stderr
    hit = re.search(r"One callback about SMS (\S+) was answered 200 and thrown away", done.stdout)
    assert hit
    wrong = [line for line in done.stdout.splitlines() if line.startswith("✘")]
    assert wrong[0].startswith(f"✘ SMS {hit[1]}: status is Sent, the ledger says ")
    assert {line.split()[1] for line in wrong} <= {"SMS", "message", "campaign", "ingest:"} | {wrong[-1].split()[1]}
    assert sum(line.startswith("✘ SMS") for line in wrong) == 1
    assert wrong[-1].endswith("numbers do not agree with the ledger")
    assert left_behind() <= before
