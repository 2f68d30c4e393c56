"""
The emulator of Routee, beside what a test does with the containers.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_COMMAND: Final = str(Path(sys.executable).with_name("routee-sandbox"))


@contextmanager
def routee(url: str, ledger: Path, *options: str) -> Iterator[None]:
    """Post the emulator's traffic while the block runs, and after it until everything was accepted."""
    with subprocess.Popen([_COMMAND, "emulate", "--url", url, "--ledger", str(ledger), *options]) as emulator:
        try:
            yield
            assert emulator.wait(timeout=100) == 0
        finally:
            emulator.kill()
