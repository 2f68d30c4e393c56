"""
Other languages' tools: where one is missing, or cannot fetch its packages, a test is skipped and says what it needs.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

_SECONDS = 300
_OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "dial tcp", "UnknownHostException", "Unknown host")


def need(*programs: str) -> None:
    """Skip the test unless all the programs are there."""
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"needs {' and '.join(missing)} on the path")


def fetch(*command: str, folder: Path) -> None:
    """Run a command that fetches packages; skip the test when there is no way to their registry."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode != 0 and any(sign in said for sign in _OFFLINE):
        pytest.skip(f"needs the packages that `{' '.join(command[:2])}` fetches, and their registry does not answer")
    assert done.returncode == 0, said
