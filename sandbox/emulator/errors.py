"""
Errors of the emulator itself.

EmulatorError
├── UnreachableError  no answer from the callback URL
└── LedgerError       the file is no ledger
"""


class EmulatorError(Exception):
    """Base of them; `str()` is one line for the person at the terminal."""


class UnreachableError(EmulatorError):
    """The callback URL did not answer, after several tries."""


class LedgerError(EmulatorError):
    """The file can not be read as a ledger; names the line."""
