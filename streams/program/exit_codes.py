"""
How a command of any program ends. A worker of streams has more codes: `streams.errors.Exit`.
"""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
"""One line says why."""
USAGE: Final = 2
"""Wrong usage or settings, a line for each."""
INTERRUPTED: Final = 130
"""By Ctrl-C, before it was done."""
