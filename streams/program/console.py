"""
How every command begins and ends: what an interrupt does before and after the command's own code runs.

A command imports for up to a second before it can handle an interrupt itself. This module imports only what it needs to
do so: `typing` alone would double the time in which an interrupt ends in a traceback.
"""

import os
import signal
import sys

from streams.program.exit_codes import INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType


def run_command(module: str, arguments: "Sequence[str] | None" = None) -> int:
    """
    Import a module and return the exit code of its `main`; 130, without a word, when SIGINT interrupts that.

    While the module is imported, and after `main` has returned, SIGINT ends the process at once: nothing is open then.
    An exception would not do, because some imports turn it into another one. A SIGINT that is ignored stays ignored.
    """
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, _end_with(INTERRUPTED))
    from importlib import import_module  # noqa: PLC0415 - see above

    main = import_module(module).main
    try:
        if listens:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = int(main(arguments))
    except KeyboardInterrupt:
        code = INTERRUPTED
    if listens:
        _flush()
        signal.signal(signal.SIGINT, _end_with(code))
    return code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # who read the output is gone; Python says so itself at the end
        return


def _end_with(code: int) -> "Callable[[int, FrameType | None], None]":
    def end(_number: int, _frame: "FrameType | None") -> None:
        os._exit(code)

    return end
