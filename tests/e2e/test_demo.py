"""
The demo, as a person starts it.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("routee-sandbox")

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(240)]


def demo(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the demo to its end, with temporary files below `folder`."""
    command = [str(PROGRAM), "demo", "--recipients", "120", *options]
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220, check=False)


@pytest.mark.full
def test_the_demo_succeeds_when_every_number_agrees(tmp_path: Path) -> None:
    """Exit 0, in a pipe without a single escape sequence, and no folder stays."""
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert "4 campaigns: every cell" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_demo_fails_when_one_callback_is_lost(tmp_path: Path) -> None:
    """Exit 1, and the differences are the lost SMS, its message, its campaign and the books, nothing else."""
    done = demo(tmp_path, "--swallow-one")
    assert done.returncode == 1, done.stdout + done.stderr
    hit = re.search(r"One callback about SMS (\S+) was answered 200 and thrown away", done.stdout)
    assert hit
    wrong = [line for line in done.stdout.splitlines() if line.startswith("✘")]
    assert wrong[0].startswith(f"✘ SMS {hit[1]}: status is Sent, the ledger says ")
    assert {line.split()[1] for line in wrong} <= {"SMS", "message", "campaign", "ingest:"} | {wrong[-1].split()[1]}
    assert sum(line.startswith("✘ SMS") for line in wrong) == 1
    assert wrong[-1].endswith("numbers do not agree with the ledger")
    assert not list(tmp_path.iterdir())
