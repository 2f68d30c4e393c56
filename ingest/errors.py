"""
The errors of the world around ingest. Bad requests and bad callbacks are values, not errors.

    IngestError
    ├── CannotListenError      the port cannot be had, or the TLS files cannot be read
    ├── KafkaFilesError        the files of the connection to Kafka cannot be read
    └── NotStoredError         a record was not acknowledged; its callbacks are answered 503
        └── TooLargeError      the topic takes no batch of this size; fewer callbacks in it may fit
"""


class IngestError(Exception):
    """Base of all errors of ingest; `str()` is one line for people."""


class CannotListenError(IngestError):
    """The server cannot take connections at the configured address."""


class KafkaFilesError(IngestError):
    """A certificate or key for the connection to Kafka cannot be used."""


class NotStoredError(IngestError):
    """
    Records were not acknowledged by all in-sync replicas. They may still turn up later.

    `cause` is a phrase for every reader, without the name of a broker; None when the error is not of a known kind.
    """

    def __init__(self, details: str, cause: str | None = None) -> None:
        super().__init__(details)
        self.cause = cause


class TooLargeError(NotStoredError):
    """Kafka refused the records together, for their size. None of them turns up later."""
