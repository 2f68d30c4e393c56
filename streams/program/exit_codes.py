"""
How a command of any program ends. A worker of streams has more codes: `streams.errors.Exit`.
"""

# Without `Final`: `console` needs these before anything is imported, and `typing` takes as long as all else it needs.
DONE = 0
FAILED = 1
"""One line says why."""
USAGE = 2
"""Wrong usage or settings, a line for each."""
INTERRUPTED = 130
"""By Ctrl-C, before it was done."""
