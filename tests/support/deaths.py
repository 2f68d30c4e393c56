"""
The end of a process, for tests that go on after it.
"""

from typing import NoReturn

from streams.errors import Exit


class DiedError(Exception):
    """Stands for the end of the process."""


class Deaths:
    """Is handed in for `streams.errors.die`: notes the exit codes, and raises DiedError."""

    def __init__(self) -> None:
        self.codes: list[Exit] = []

    def __call__(self, code: Exit, why: str) -> NoReturn:
        """Note the code that the process would have ended with."""
        self.codes.append(code)
        raise DiedError(why)
