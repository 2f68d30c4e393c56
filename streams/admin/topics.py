"""
Topics as the contract defines them and as Kafka has them: creates missing topics, reports and mends differences.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
)

from streams.contract.topics import ALL_TOPICS, Fault, Found, Topic
from streams.errors import (
    CertificatesError,
    KafkaUnreachableError,
    ReplicationRefusedError,
    SettingsRefusedError,
    TopicsDifferError,
)
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.found_topics import found_topics
from streams.program.kafka_problems import Findings, missing_topic, topic_findings
from streams.program.settings import CommonSettings

logger = logging.getLogger(__name__)

_BOOTSTRAP_MS: Final = 5_000
_REQUEST_MS: Final = 15_000
_SETTLED_SECONDS: Final = 10.0
"""How long a change of a topic may take to reach the brokers that are asked."""

_SETTLED_ANSWERS: Final = 5
_ASK_AGAIN_SECONDS: Final = 0.1
_CHANGED: Final = "OK"
_TOO_STRICT: Final = (InvalidConfigurationError, PolicyViolationError)


@dataclass(slots=True)
class Alterations:
    """The changes of topics that were made, and for each topic that was not changed the reason."""

    made: dict[Topic, list[Fault]] = field(default_factory=dict)
    refused: dict[Topic, str] = field(default_factory=dict)


class Topics:
    """
    The project's topics on one Kafka.

    Used within `connect`, which turns any Kafka error into KafkaUnreachableError. `create` and `remake` also raise
    ReplicationRefusedError and SettingsRefusedError.
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
        """
        Create topics; a topic that exists already, or appears meanwhile, is left unchanged.

        Only a topic that is there tells how many replicas it got when that was left to the brokers: then the settings
        that depend on it follow.
        """
        created = [topic for topic in topics if self._create(topic)]
        for topic, refusal in self._alter(created).refused.items():
            raise SettingsRefusedError(f"topic {self._name(topic)} was created, but {refusal}")

    def _create(self, topic: Topic) -> bool:
        """Create one topic; return whether it was missing."""
        factor = self._settings.kafka_replication_factor
        wanted = {
            "num_partitions": self._settings.kafka_partitions,
            "replication_factor": factor,
            "configs": topic.config_with(factor),
        }
        try:
            self.admin.create_topics({self._name(topic): wanted}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return False
        except InvalidReplicationFactorError as error:
            raise ReplicationRefusedError(
                f"KAFKA_REPLICATION_FACTOR={factor}: Kafka refuses it, it needs as many brokers, and one at least"
            ) from error
        except _TOO_STRICT as error:
            settings = ",".join(f"{key}={value}" for key, value in topic.config_with(factor).items())
            raise SettingsRefusedError(f"topic {self._name(topic)}: Kafka refuses {settings} ({error})") from error
        return True

    def remake(self, topics: Sequence[Topic]) -> None:
        """Delete the topics that exist, with all their records, and create all anew."""
        gone = self.missing(topics)
        self.admin.delete_topics([self._name(topic) for topic in topics if topic not in gone])
        self.create(topics)

    def alter(self, topics: Iterable[Topic] = ALL_TOPICS) -> "Alterations":
        """
        Change the settings of existing topics that are not as they should be; the number of partitions stays.

        Returns when the brokers know, or after 10 s.
        """
        missing = self.missing(topics := tuple(topics))
        return self._alter([topic for topic in topics if topic not in missing])

    def _alter(self, topics: Sequence[Topic]) -> "Alterations":
        """
        Change settings until several answers in a row know of nothing to change, for at most 10 s.

        Any broker may answer. The controller has a new topic and a change at once, the brokers a moment later.
        """
        done = Alterations()
        deadline = time.monotonic() + _SETTLED_SECONDS
        settled = 0
        while settled < _SETTLED_ANSWERS and time.monotonic() < deadline:
            settled = settled + 1 if self._is_mended(topics, done) else 0
            time.sleep(0 if settled else _ASK_AGAIN_SECONDS)
        return done

    def _is_mended(self, topics: Sequence[Topic], done: "Alterations") -> bool:
        """Return whether all settings may be seen and nothing is left to change; else change it."""
        described = self._describe(topics)
        faults = {topic: topic.faults(found) for topic, found in described.items() if found.config}
        wrong = {topic: found for topic, found in faults.items() if found and topic not in done.refused}
        for topic, found in wrong.items():
            self._mend(topic, found, done)
        return len(faults) == len(topics) and not wrong

    def _mend(self, topic: Topic, faults: Sequence[Fault], done: "Alterations") -> None:
        """Change the settings; if that is refused, the dangerous ones alone: Kafka takes all or none."""
        outcome = self._change(topic, faults)
        if outcome == _CHANGED:
            done.made.setdefault(topic, [*faults])
            return
        done.refused[topic] = f"Kafka refuses to change its settings ({outcome})"
        urgent = [fault for fault in faults if fault.refused]
        if 0 < len(urgent) < len(faults) and self._change(topic, urgent) == _CHANGED:
            done.made[topic] = urgent

    def _change(self, topic: Topic, faults: Sequence[Fault]) -> str:
        """Ask for a change, and return Kafka's word for its outcome."""
        changes = {fault.setting: fault.wanted for fault in faults}
        resource = ConfigResource(ConfigResourceType.TOPIC, self._name(topic), changes)
        return str(self.admin.alter_configs([resource], raise_on_unknown=False)["topic"][self._name(topic)])

    def problems(self, topics: Iterable[Topic] = ALL_TOPICS) -> list[str]:
        """Return one line per missing topic or refused difference, each with the command or setting that mends it."""
        return self.findings(topics).refused

    def findings(self, topics: Iterable[Topic] = ALL_TOPICS) -> Findings:
        """Return the problems, and the lines that are worth a warning."""
        topics = tuple(topics)
        missing = self.missing(topics)
        described = self._describe([topic for topic in topics if topic not in missing])
        lines = [missing_topic(self._name(topic)) for topic in missing]
        for topic, found in described.items():
            if found.partitions != self._settings.kafka_partitions:
                lines.append(another_partition_count(self._name(topic), found.partitions, self._settings))
        findings = topic_findings(described, self._settings)
        return Findings(lines + findings.refused, findings.warned)

    def _describe(self, topics: Sequence[Topic]) -> dict[Topic, Found]:
        """Return each topic as Kafka describes it; without settings, when this user may not see them."""
        found = found_topics(self.admin, [self._name(topic) for topic in topics])
        return dict(zip(topics, found.values(), strict=True))

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


def verify(
    settings: CommonSettings, topics: Sequence[Topic] = ALL_TOPICS, warn: Callable[[str], object] = logger.warning
) -> dict[Topic, str]:
    """
    Return the topics' ids; tells `warn` a line for each difference that is only worth a warning.

    Raises TopicsDifferError with all problems, or the errors of `connect`.
    """
    with connect(settings) as kafka:
        findings = kafka.findings(topics)
        for line in findings.warned:
            warn(line)
        if findings.refused:
            raise TopicsDifferError(findings.refused)
        return kafka.ids(topics)


def another_partition_count(name: str, partitions: int, settings: CommonSettings) -> str:
    """Return the problem of a topic with another number of partitions than the settings say, and both ways out."""
    return (
        f"topic {name} has {partitions} partitions, not {settings.kafka_partitions}: set KAFKA_PARTITIONS="
        f"{partitions}, or, while nothing is in it, `kafka-topics.sh --bootstrap-server "
        f"{settings.kafka_bootstrap_servers} --delete --topic {name}` and run `routee-streams topics`"
    )


def _unreachable(settings: CommonSettings, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}: {reason}"
