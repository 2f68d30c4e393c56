"""
A console under measure.
"""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.ports import free_port
from sandbox.process import Process

_START_SECONDS = 60.0


@contextmanager
def console(folder: Path, **settings: str) -> Iterator[tuple[str, Process]]:
    """Run a console for the length of the block, and give its address; it may do without Kafka."""
    port = free_port(together=2)
    told = {**os.environ, "CONSOLE_PORT": str(port), "CONSOLE_ADMIN_PORT": str(port + 1), **settings}
    process = Process("console", (sys.executable, "-m", "console", "serve"), folder / "console.log", told)
    process.start()
    try:
        process.wait_until(lambda: _answers(f"http://127.0.0.1:{port}/search"), _START_SECONDS)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.stop(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
