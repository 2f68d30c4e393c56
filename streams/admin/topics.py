"""
Topics as the contract defines them and as Kafka has them: creates missing topics, reports differences.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError

from streams.contract.topics import ALL_TOPICS, Topic
from streams.errors import CertificatesError, KafkaUnreachableError, ReplicationRefusedError, TopicsDifferError
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.kafka_problems import missing_topic
from streams.program.settings import CommonSettings

_BOOTSTRAP_MS: Final = 5_000
_REQUEST_MS: Final = 15_000
_AT_LEAST: Final = frozenset(
    {"retention.ms", "delete.retention.ms", "min.compaction.lag.ms", "max.message.bytes", "min.insync.replicas"}
)
"""Configurations that an operator may set higher than the contract; -1 is no limit."""

_SAFE_REPLICATION: Final = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as Kafka describes it."""

    partitions: int
    replication: int
    config: Mapping[str, str]


class Topics:
    """
    The project's topics on one Kafka.

    Used within `connect`, which turns any Kafka error into KafkaUnreachableError. `create` and `remake` also raise
    ReplicationRefusedError.
    """

    def __init__(self, admin: KafkaAdminClient, settings: CommonSettings) -> None:
        self.admin: Final = admin
        self._settings = settings

    def missing(self, topics: Iterable[Topic] = ALL_TOPICS) -> list[Topic]:
        """Return the topics among `topics` that do not exist."""
        existing = set(self.admin.list_topics())
        return [topic for topic in topics if self._name(topic) not in existing]

    def ids(self, topics: Iterable[Topic]) -> dict[Topic, str]:
        """Return the id that Kafka gave each topic at its creation; a recreated topic has another id."""
        by_name = {self._name(topic): topic for topic in topics}
        return {by_name[found["name"]]: str(found["topic_id"]) for found in self.admin.describe_topics([*by_name])}

    def create(self, topics: Sequence[Topic]) -> None:
        """Create topics; a topic that exists already, or appears meanwhile, is left unchanged."""
        for topic in topics:
            wanted = {
                "num_partitions": self._settings.kafka_partitions,
                "replication_factor": self._settings.kafka_replication_factor,
                "configs": creation_config(topic, self._settings.kafka_replication_factor),
            }
            try:
                self.admin.create_topics({self._name(topic): wanted}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue
            except InvalidReplicationFactorError as error:
                factor = self._settings.kafka_replication_factor
                raise ReplicationRefusedError(
                    f"KAFKA_REPLICATION_FACTOR={factor}: Kafka refuses it, it needs as many brokers, and one at least"
                ) from error

    def remake(self, topics: Sequence[Topic]) -> None:
        """Delete the topics that exist, with all their records, and create all anew."""
        gone = self.missing(topics)
        self.admin.delete_topics([self._name(topic) for topic in topics if topic not in gone])
        self.create(topics)

    def problems(self, topics: Iterable[Topic] = ALL_TOPICS) -> list[str]:
        """Return one line per missing topic or difference, each with the command or setting that mends it."""
        topics = tuple(topics)
        missing = self.missing(topics)
        lines = [missing_topic(self._name(topic)) for topic in missing]
        present = [topic for topic in topics if topic not in missing]
        for topic, found in zip(present, self._describe(present), strict=True):
            lines += differences(topic, found, self._settings)
        return lines

    def _describe(self, topics: Sequence[Topic]) -> list[Found]:
        if not topics:
            return []
        names = [self._name(topic) for topic in topics]
        described = {topic["name"]: topic["partitions"] for topic in self.admin.describe_topics(names)}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        configs = self.admin.describe_configs(resources, config_filter="all")["topic"]
        return [
            Found(
                len(described[name]),
                min(len(partition["replica_nodes"]) for partition in described[name]),
                {key: str(entry["value"]) for key, entry in configs[name].items()},
            )
            for name in names
        ]

    def _name(self, topic: Topic) -> str:
        return topic.name(self._settings.kafka_topic_prefix)


@contextmanager
def connect(settings: CommonSettings) -> Iterator[Topics]:
    """
    Yield the topics of the Kafka that the settings name.

    Raises CertificatesError for unusable files of the settings, KafkaUnreachableError when no broker answers within
    5 seconds or one refuses a request, also inside the `with` block.
    """
    # The client logs a dozen lines about an unreachable broker; the one error below is enough for people.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    options = _options(settings)
    try:
        admin = KafkaAdminClient(bootstrap_timeout_ms=_BOOTSTRAP_MS, request_timeout_ms=_REQUEST_MS, **options)
    except (KafkaError, OSError, ValueError) as error:
        raise KafkaUnreachableError(why_unreachable(settings, error)) from error
    try:
        yield Topics(admin, settings)
    except KafkaError as error:
        raise KafkaUnreachableError(_unreachable(settings, error)) from error
    finally:
        admin.close()


def _options(settings: CommonSettings) -> dict[str, Any]:
    try:
        return client_options(settings)
    except UnusableFilesError as error:
        raise CertificatesError(str(error)) from error


def verify(settings: CommonSettings, topics: Sequence[Topic] = ALL_TOPICS) -> dict[Topic, str]:
    """Return the topics' ids; raises TopicsDifferError with all problems, or the errors of `connect`."""
    with connect(settings) as kafka:
        if problems := kafka.problems(topics):
            raise TopicsDifferError(problems)
        return kafka.ids(topics)


def creation_config(topic: Topic, replication: int) -> dict[str, str]:
    """Return the configuration to create a topic with; with three replicas or more, two must have each record."""
    if replication >= _SAFE_REPLICATION:
        return {**topic.config, "min.insync.replicas": "2"}
    return dict(topic.config)


def differences(topic: Topic, found: Found, settings: CommonSettings) -> list[str]:
    """Return one line for each difference between a topic and the contract, with the change to make."""
    name = topic.name(settings.kafka_topic_prefix)
    lines = []
    if found.partitions != settings.kafka_partitions:
        lines.append(
            f"topic {name} has {found.partitions} partitions, not {settings.kafka_partitions}: set KAFKA_PARTITIONS="
            f"{found.partitions}, or, while nothing is in it, `kafka-topics.sh --bootstrap-server "
            f"{settings.kafka_bootstrap_servers} --delete --topic {name}` and run `routee-streams topics`"
        )
    # With -1 the brokers decide on replication, and on the replicas that a write needs.
    left_to_brokers = settings.kafka_replication_factor < 0
    wanted = creation_config(topic, 0 if left_to_brokers else found.replication)
    changes = {key: value for key, value in wanted.items() if not _satisfies(key, found.config.get(key), value)}
    if changes:
        now = ", ".join(f"{key}={found.config.get(key)}" for key in changes)
        then = ",".join(f"{key}={value}" for key, value in changes.items())
        lines.append(
            f"topic {name} has {now}: `kafka-configs.sh --bootstrap-server {settings.kafka_bootstrap_servers} "
            f"--alter --entity-type topics --entity-name {name} --add-config {then}`"
        )
    return lines


def _satisfies(key: str, found: str | None, wanted: str) -> bool:
    if key in _AT_LEAST and found is not None:
        return int(found) == -1 or int(found) >= int(wanted)
    return found == wanted


def _unreachable(settings: CommonSettings, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}: {reason}"
