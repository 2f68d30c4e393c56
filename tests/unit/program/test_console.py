"""How a command begins and ends when it is interrupted."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("ingest", "streams", "sinks", "console", "sandbox")
# Stands in the place of a module that a command imports: says that it is being imported, and never ends.
_STUCK = "import sys, time\nsys.stderr.write('importing\\n')\nsys.stderr.flush()\ntime.sleep(600)\n"


@pytest.fixture(autouse=True)
def _listens() -> Iterator[None]:
    """Have children begin with SIGINT as a terminal would, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command with modules of ours before all others; interrupt it when it has written a line."""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    return process.returncode, first + rest


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_interrupt_while_a_program_is_imported_is_130_without_a_word(tmp_path: Path, program: str) -> None:
    (tmp_path / "argparse.py").write_text(_STUCK)
    command = str(Path(sys.executable).with_name(f"routee-{program}"))
    assert interrupted(tmp_path, command, "--help") == (130, "importing\n")


def test_an_interrupt_after_the_command_is_done_leaves_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "done.py").write_text(
        "import atexit, sys, time\n"
        "def linger():\n    sys.stderr.write('leaving\\n')\n    sys.stderr.flush()\n    time.sleep(600)\n"
        "def main(_):\n    atexit.register(linger)\n    return 3\n"
    )
    code = "import sys; from streams.program.console import run_command; sys.exit(run_command('done'))"
    assert interrupted(tmp_path, sys.executable, "-c", code) == (3, "leaving\n")


def test_an_interrupt_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "listens.py").write_text(
        "import signal\ndef main(_):\n    return 7 if signal.getsignal(2) is signal.SIG_IGN else 8\n"
    )
    code = "import sys; from streams.program.console import run_command; sys.exit(run_command('listens'))"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False, timeout=60
    )
    assert done.returncode == 7
