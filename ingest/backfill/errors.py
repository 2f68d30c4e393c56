"""
The errors of asking Routee.

    BackfillError
    ├── CredentialsError       Routee does not know the application, or refuses its token
    ├── AllowListError         Routee refuses the address of this machine
    ├── WrongUrlError          an URL of the settings leads to no pull API
    ├── NoAnswerError          Routee did not answer as it should, several times in a row
    ├── BadRequestError        Routee refuses the request itself
    └── TopicsError            the topics cannot be read
"""

from ingest.errors import IngestError


class BackfillError(IngestError):
    """Base of them; `str()` is a line for each fault, for people, without a secret."""


class CredentialsError(BackfillError):
    """The application or its secret is wrong."""


class AllowListError(BackfillError):
    """Routee answers 403 also to a new token: the account admits other addresses only."""


class WrongUrlError(BackfillError):
    """Nothing answers at an URL, or the answer is not Routee's."""


class NoAnswerError(BackfillError):
    """Routee was asked several times in vain; it may answer later."""


class BadRequestError(BackfillError):
    """Routee answers 400: asking again gives the same answer."""


class TopicsError(BackfillError):
    """A topic is missing, or Kafka does not give its records."""
