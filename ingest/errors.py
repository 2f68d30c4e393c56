"""
The errors of the world around ingest. Bad requests and bad callbacks are values, not errors.

    IngestError
    ├── CannotListenError      the port cannot be had, or the TLS files cannot be read
    ├── KafkaFilesError        the files of the connection to Kafka cannot be read
    ├── TopicsDifferError      the topics do not have KAFKA_PARTITIONS partitions; waiting does not help
    └── NotStoredError         a record was not acknowledged; its callbacks are answered 503
"""


class IngestError(Exception):
    """Base of all errors of ingest; `str()` is one line for people."""


class CannotListenError(IngestError):
    """The server cannot take connections at the configured address."""


class KafkaFilesError(IngestError):
    """A certificate or key for the connection to Kafka cannot be used."""


class TopicsDifferError(IngestError):
    """A topic has another partition count than KAFKA_PARTITIONS: callbacks would land in wrong partitions."""


class NotStoredError(IngestError):
    """Records were not acknowledged by all in-sync replicas. They may still turn up later."""
