"""A process may open as many files as the system allows it."""

import subprocess
import sys

_RAISED = """
import resource
from streams.program.descriptors import raise_limit

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
raise_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
"""


def test_the_soft_limit_of_open_files_becomes_the_hard_one() -> None:
    subprocess.run([sys.executable, "-c", _RAISED], timeout=60, check=True)
