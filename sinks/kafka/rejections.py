"""
Rejections to Kafka.
"""

from typing import Final

from kafka import KafkaProducer
from kafka.errors import AuthorizationError, KafkaError

from sinks.errors import RetryableError
from streams.contract.codec import encode
from streams.contract.headers import headers
from streams.contract.permissions import Kind, Operation, Resource
from streams.contract.records import SinkRejection
from streams.contract.topics import SINKS_REJECTED
from streams.program.brokers import UnusableFilesError, client_options
from streams.program.kafka_problems import missing_permission
from streams.program.settings import CommonSettings

_ACK_SECONDS: Final = 10.0
_REQUEST_BYTES: Final = 2 << 20


class KafkaRejections:
    """Implements `Rejections`: acknowledged by all in-sync replicas. It connects for the first rejection."""

    def __init__(self, settings: CommonSettings) -> None:
        self._settings = settings
        self._topic = SINKS_REJECTED.name(settings.kafka_topic_prefix)
        self._producer: KafkaProducer | None = None

    def add(self, rejection: SinkRejection) -> None:
        """Produce it and wait for the acknowledgement."""
        try:
            if self._producer is None:
                self._producer = self._connect()
            sent = self._producer.send(self._topic, encode(rejection), headers=[*headers(SINKS_REJECTED)])
            sent.get(timeout=_ACK_SECONDS)
        except AuthorizationError as error:
            line = missing_permission(Resource(Kind.TOPIC, self._topic), [Operation.WRITE])
            raise RetryableError(line) from error
        except KafkaError as error:
            raise RetryableError(f"{self._topic}: {type(error).__name__}") from error
        except UnusableFilesError as error:
            raise RetryableError(f"{self._topic}: {error}") from error

    def _connect(self) -> KafkaProducer:
        """Return a producer. UnusableFilesError when a certificate was removed since the start."""
        return KafkaProducer(acks="all", max_request_size=_REQUEST_BYTES, **client_options(self._settings))

    def close(self) -> None:
        """Close the producer, if there is one."""
        if self._producer is not None:
            self._producer.close(timeout=1)
