"""
The last words of programs that had ended, when their test fails: a seldom failure has to explain itself at once.
"""

import signal
from pathlib import Path
from typing import Final

_LINES: Final = 40
_KILLED: Final = -signal.SIGKILL


def tell_ending(name: str, exit_code: int | None, log: Path) -> None:
    """
    Print the exit code and the end of the log of a program that has ended by itself, or was asked to.

    Nothing of one that runs (exit code None) or was killed. pytest shows the output if the test fails.
    """
    if exit_code in (None, _KILLED):
        return
    said = log.read_text(errors="replace").splitlines() if log.exists() else []
    print(f"{name} had ended with exit code {exit_code}; the last lines of {log.name}:")  # noqa: T201 - pytest keeps it
    print("\n".join(f"    {line}" for line in said[-_LINES:]))  # noqa: T201 - same
