"""
Errors of the emulator itself.

EmulatorError
├── UnreachableError  no answer from the callback URL
├── LedgerError       the file is no ledger
└── PullPortError     the pull API cannot be served
"""


class EmulatorError(Exception):
    """Base of them; `str()` is one line for the person at the terminal."""


class UnreachableError(EmulatorError):
    """The callback URL did not answer, after several tries."""


class LedgerError(EmulatorError):
    """The file can not be read as a ledger; names the line."""


class PullPortError(EmulatorError):
    """The pull API cannot listen on its port; names the option."""
