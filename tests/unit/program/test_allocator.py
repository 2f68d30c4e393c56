"""Large buffers are reused, so that the kernel need not find and clear their pages each time."""

import platform
import subprocess
import sys

import pytest

_PAGES_OF_16_MIB = (16 << 20) // 4096

_FAULTS = """
import resource
from streams.program.allocator import keep_large_buffers

def fill():
    bytearray(b"x" * (16 << 20))

{prepare}
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(prepare: str) -> int:
    code = _FAULTS.format(prepare=prepare)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc: other C libraries have no such setting")
def test_a_large_buffer_costs_no_new_pages_when_there_was_one_before() -> None:
    assert _faults("keep_large_buffers()") < _PAGES_OF_16_MIB / 10
    assert _faults("pass") > _PAGES_OF_16_MIB / 2, "without it they are new"
