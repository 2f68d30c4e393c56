"""
kafka-python's consumer with the options of the sinks: in a group, or outside of one for questions.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from sinks.errors import ConnectError
from sinks.kafka import private_names
from sinks.kafka.large_reads import LargeAnswer, LargeReads
from sinks.kafka.record_batches import QuickRecords
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.settings import CommonSettings

CLOSE_MS: Final = 1_500
ASK_MS: Final = 5_000
_BOOTSTRAP_MS: Final = 5_000

CONSUMER_OPTIONS: Final[dict[str, Any]] = {
    "enable_auto_commit": False,
    # A position that Kafka does not have is an error: it has a reason, and records may have expired.
    "auto_offset_reset": "none",
    "allow_auto_create_topics": False,
    # A topic that was made anew is noticed in this time even if no batch is written.
    "metadata_max_age_ms": 10_000,
    # A killed process holds its partitions this long.
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 1_000,
    # The loop polls several times a second, even while the store is away. Without a poll for so long it is stuck.
    "max_poll_interval_ms": 60_000,
    # Fewer, larger answers: a fetch costs more than its records when few come at a time.
    "fetch_min_bytes": 65_536,
    "fetch_max_wait_ms": 200,
    # Records read ahead are in memory besides the batch, several times over. Larger limits read no faster.
    "fetch_max_bytes": 4 << 20,
    # The same for one partition: Kafka cuts the last record batch of each, and the cut bytes are fetched again.
    "max_partition_fetch_bytes": 4 << 20,
    # By default the client doubles its wait up to 30 s: it would stay away long after Kafka is back.
    "reconnect_backoff_max_ms": 1_000,
    "metrics_enabled": False,
}


def open_consumer(settings: CommonSettings, group: str | None) -> Any:  # noqa: ANN401 - kafka-python has no types
    """Return a consumer of `Record`s that knows the brokers. ConnectError when none answers."""
    private_names.connect_by(LargeReads)
    private_names.receive_by(LargeAnswer)
    consumer = open_plain_consumer(settings, group)
    private_names.read_with(consumer, QuickRecords)
    return consumer


def open_plain_consumer(settings: CommonSettings, group: str | None) -> Any:  # noqa: ANN401 - the same
    """Return the same consumer, but of kafka-python's own records: slower ones, which have their keys."""
    # kafka-python's selector warns whenever the machine is busy.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    return connected(KafkaConsumer, settings, group_id=group, **CONSUMER_OPTIONS, bootstrap_timeout_ms=_BOOTSTRAP_MS)


def connected(client: Callable[..., Any], settings: CommonSettings, **options: object) -> Any:  # noqa: ANN401 - as above
    """Return a client of kafka-python that knows the brokers. ConnectError when none answers, or for unusable files."""
    try:
        told = client_options(settings)
    except UnusableFilesError as error:
        raise ConnectError(str(error)) from error
    try:
        with silent("kafka"):
            return client(**options, **told)
    except (KafkaError, OSError) as error:
        raise ConnectError(why_unreachable(settings, error)) from error


@contextmanager
def silent(library: str) -> Iterator[None]:
    """Keep a library from logging the error that it is about to raise."""
    found = logging.getLogger(library)
    level = found.level
    found.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        found.setLevel(level)
