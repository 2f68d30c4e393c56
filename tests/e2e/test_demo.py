"""
The demo, as a person starts it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.markdown import ROOT
from tests.support.wait import eventually

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
    assert re.search(
        r"minutes after the break, delivery-drop opens: .*minutes after its end, delivery-drop closes",
        done.stdout,
        re.DOTALL,
    )
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


@contextmanager
def started(folder: Path, *command: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Start a command as a shell in a terminal does, in a process group of its own; give it and its output."""
    output = folder.parent / f"{folder.name}.txt"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what we ignore, children would, too
    try:
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(folder)},
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield process, output
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def interrupted(process: "subprocess.Popen[bytes]", output: Path, when: str) -> str:
    """Press Ctrl-C when the output has a text; return all output after the end."""
    eventually(lambda: when in output.read_text() or process.poll() is not None, 150)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    return output.read_text()


def leftovers(folder: Path) -> list[str]:
    """Return the command lines of the processes that name the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        if f"{folder}/routee-demo-" in command:
            found.append(command)
    return found


@pytest.mark.parametrize("when", ["starting ClickHouse", pytest.param("Comparing every row", marks=pytest.mark.full)])
def test_ctrl_c_ends_the_demo_with_130_and_leaves_nothing(tmp_path: Path, when: str) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with started(folder, str(PROGRAM), "demo", "--recipients", "120") as (process, output):
        said = interrupted(process, output, when)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "✘ interrupted; everything is stopped"
    assert "Traceback" not in said
    assert (leftovers(folder), list(folder.iterdir())) == ([], [])


@pytest.mark.full
def test_ctrl_c_ends_make_demo_as_an_interrupt_does(tmp_path: Path) -> None:
    """A shell shows 130 for a command that ends by SIGINT, which is how make ends after Ctrl-C."""
    if not shutil.which("make") or not (ROOT / ".venv" / "installed").exists():
        pytest.skip("needs `make`, and the project to be installed by it")
    folder = tmp_path / "temporary"
    folder.mkdir()
    with started(folder, "make", "--old-file=.venv/installed", "demo") as (process, output):
        said = interrupted(process, output, "callbacks accepted")
    assert process.returncode == -signal.SIGINT, said
    assert "✘ interrupted; everything is stopped" in said
    assert "Error 130" in said
    assert "Traceback" not in said
    assert (leftovers(folder), list(folder.iterdir())) == ([], [])
