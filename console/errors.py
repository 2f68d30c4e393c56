"""
The errors of the console.

    ConsoleError            it cannot work at all: one line or more, exit code 1
    AwayError               a source does not answer now; the page says so and goes on without it
    ├── TooSlowError        a query took longer than its limit and was stopped
    ├── RefusedQueryError   the source cannot answer this one question
    └── UnusableError       the source answers, and refuses: a missing table, a wrong password
"""


class ConsoleError(Exception):
    """The console cannot work at all; `str()` has a line for each reason."""


class AwayError(Exception):
    """A source does not answer; `str()` is one line without a secret, a number or a text."""


class TooSlowError(AwayError):
    """The answer took longer than its limit, and was stopped."""


class UnusableError(AwayError):
    """The source answers, and does not let us read."""


class RefusedQueryError(AwayError):
    """The source cannot answer this one question; others it may."""
