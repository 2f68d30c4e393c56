"""
A command that is killed at a random moment after it has begun its work.
"""

import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from tests.support.wait import eventually


def run_and_kill(
    command: Sequence[str],
    environment: Mapping[str, str],
    has_begun: Callable[[], bool],
    chance: random.Random,
    *,
    within_seconds: float,
    every: float,
) -> None:
    """Kill the command within that many seconds after it has begun, or has ended; look for that `every` so many."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually(lambda: has_begun() or process.poll() is not None, 60, every=every)
        moment = time.monotonic() + chance.uniform(0, within_seconds)
        eventually(lambda: time.monotonic() > moment, 10, every=0.001)
        process.kill()
