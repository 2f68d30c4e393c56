"""
What can go wrong in the emulator itself.

EmulatorError
├── UnreachableError  nobody answers at the callback URL
└── LedgerError       a file is no ledger
"""


class EmulatorError(Exception):
    """Base of them; `str()` is one line for the person at the terminal."""


class UnreachableError(EmulatorError):
    """Nobody answered at the callback URL, after several tries."""


class LedgerError(EmulatorError):
    """The file can not be read as a ledger; names the line."""
