"""
Topics as the contract defines them and as Kafka has them: creates missing topics, reports and mends differences.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    AuthorizationError,
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
)

from streams.contract.permissions import Kind, Operation, Permission, Resource, worker
from streams.contract.topics import (
    ALL_TOPICS,
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PROGRESS,
    CHANGELOGS,
    DELIVERY_ALARMS,
    DELIVERY_PARTIALS,
    DELIVERY_WATCH,
    DELIVERY_WINDOWS,
    ERASURES,
    SMS_STATUS,
    Fault,
    Topic,
)
from streams.errors import (
    CertificatesError,
    KafkaUnreachableError,
    ReplicationRefusedError,
    SettingsRefusedError,
    TopicsDifferError,
)
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.found_topics import ToldTopics, told_topics
from streams.program.kafka_look import look
from streams.program.kafka_problems import (
    Findings,
    failed_request,
    missing_permission,
    missing_topic,
    permission_findings,
)
from streams.program.settings import CommonSettings
from streams.program.told_permissions import told_permissions

logger = logging.getLogger(__name__)

WORKER_TOPICS: Final = (
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    SMS_STATUS,
    CAMPAIGN_PROGRESS,
    CAMPAIGN_PARTIALS,
    DELIVERY_WINDOWS,
    DELIVERY_PARTIALS,
    DELIVERY_WATCH,
    DELIVERY_ALARMS,
    *CHANGELOGS,
    ERASURES,
)
"""The topics that a worker reads or writes."""

_BOOTSTRAP_MS: Final = 5_000
_REQUEST_MS: Final = 15_000
_SETTLED_SECONDS: Final = 10.0
"""How long a change of a topic may take to reach the brokers that are asked."""

_SETTLED_ANSWERS: Final = 5
_ASK_AGAIN_SECONDS: Final = 0.1
_CHANGED: Final = "OK"
_NOT_ALLOWED: Final = "TopicAuthorizationFailedError"
_TOO_STRICT: Final = (InvalidConfigurationError, PolicyViolationError)


@dataclass(slots=True)
class Creations:
    """The topics that were created, and a line for each that this user may not create."""

    made: list[Topic] = field(default_factory=list)
    refused: dict[Topic, str] = field(default_factory=dict)


@dataclass(slots=True)
class Alterations:
    """The changes of topics that were made, and a line for each topic that was not changed."""

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
        """Return the topics among `topics` that do not exist; one that may not be seen is none of them."""
        missing = self._told(topics := tuple(topics)).missing
        return [topic for topic in topics if self._name(topic) in missing]

    def ids(self, topics: Iterable[Topic]) -> dict[Topic, str]:
        """Return the id that Kafka gave each topic that is there at its creation; a recreated topic has another id."""
        ids = self._told(topics := tuple(topics)).ids
        return {topic: ids[self._name(topic)] for topic in topics if self._name(topic) in ids}

    def create(self, topics: Sequence[Topic]) -> Creations:
        """
        Create topics; a topic that exists already, or appears meanwhile, is left unchanged.

        Only a topic that is there tells how many replicas it got when that was left to the brokers: then the settings
        that depend on it follow.
        """
        done = Creations()
        for topic in topics:
            try:
                done.made += [topic] if self._create(topic) else []
            except AuthorizationError:
                done.refused[topic] = missing_permission(self._resource(topic), [Operation.CREATE])
        for refusal in self._alter(done.made).refused.values():
            raise SettingsRefusedError(f"{refusal}; it was created")
        return done

    def _create(self, topic: Topic) -> bool:
        """Create one topic; return whether it was missing."""
        factor = self._settings.kafka_replication_factor
        wanted = {
            "num_partitions": topic.partitions or self._settings.kafka_partitions,
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
        """Delete the topics that exist, with all their records, and create all anew; TopicsDifferError."""
        gone = self.missing(topics)
        self.admin.delete_topics([self._name(topic) for topic in topics if topic not in gone])
        if refused := self.create(topics).refused:
            raise TopicsDifferError([*refused.values()])

    def alter(self, topics: Iterable[Topic] = ALL_TOPICS) -> Alterations:
        """
        Change the settings of existing topics that are not as they should be; the number of partitions stays.

        Returns when the brokers know, or after 10 s.
        """
        there = self._told(topics := tuple(topics)).there
        return self._alter([topic for topic in topics if self._name(topic) in there])

    def _alter(self, topics: Sequence[Topic]) -> Alterations:
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

    def _is_mended(self, topics: Sequence[Topic], done: Alterations) -> bool:
        """Return whether nothing is left to change in the settings that this user may see; else change it."""
        told = self._told(topics)
        seen = [topic for topic in topics if _may_compare(told.allowed[self._name(topic)])]
        there = {topic: told.there[self._name(topic)] for topic in topics if self._name(topic) in told.there}
        faults = {topic: topic.faults(found) for topic, found in there.items() if found.config}
        wrong = {topic: found for topic, found in faults.items() if found and topic not in done.refused}
        for topic, found in wrong.items():
            self._mend(topic, found, done)
        return faults.keys() >= {*seen} and not wrong

    def _mend(self, topic: Topic, faults: Sequence[Fault], done: Alterations) -> None:
        """Change the settings; if that is refused, the dangerous ones alone: Kafka takes all or none."""
        outcome = self._change(topic, faults)
        if outcome == _CHANGED:
            done.made.setdefault(topic, [*faults])
            return
        if _NOT_ALLOWED in outcome:
            done.refused[topic] = missing_permission(self._resource(topic), [Operation.ALTER_CONFIGS])
            return
        done.refused[topic] = f"topic {self._name(topic)}: Kafka refuses to change its settings ({outcome})"
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
        return self.findings(topics).problems

    def findings(self, topics: Iterable[Topic] = ALL_TOPICS, permissions: Iterable[Permission] = ()) -> Findings:
        """
        Return the problems, and the lines that are worth a warning.

        Among them are the permissions that this user lacks.
        """
        return look(self.admin, tuple(topics), permissions, self._settings)

    def lacking(self, topics: Iterable[Topic], permissions: Iterable[Permission]) -> list[str]:
        """Return a line for each of the topics, and other resources, on which this user lacks a permission."""
        told = told_permissions(self.admin, permissions := tuple(permissions), self._told(tuple(topics)))
        return permission_findings(permissions, told).unusable

    def _told(self, topics: Sequence[Topic]) -> ToldTopics:
        return told_topics(self.admin, [self._name(topic) for topic in topics])

    def _resource(self, topic: Topic) -> Resource:
        return Resource(Kind.TOPIC, self._name(topic))

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
        raise KafkaUnreachableError(failed_request(settings, error)) from error
    finally:
        admin.close()


def _options(settings: CommonSettings) -> dict[str, Any]:
    try:
        return client_options(settings)
    except UnusableFilesError as error:
        raise CertificatesError(str(error)) from error


def require(found: Findings, warn: Callable[[str], object]) -> None:
    """Tell `warn` each line that is only worth a warning; raises TopicsDifferError with all problems."""
    for line in found.warned:
        warn(line)
    if found.problems:
        raise TopicsDifferError(found.problems)


def verify(
    settings: CommonSettings,
    topics: Sequence[Topic] = WORKER_TOPICS,
    warn: Callable[[str], object] = logger.warning,
    more: Sequence[Permission] = (),
) -> dict[Topic, str]:
    """
    Return the topics' ids; tells `warn` a line for each difference that is only worth a warning.

    The topics, and this user's permissions, must be as a worker needs them, `more` among them. Raises TopicsDifferError
    with all problems, or the errors of `connect`.
    """
    with connect(settings) as kafka:
        require(kafka.findings(topics, (*worker(settings.kafka_topic_prefix), *more)), warn)
        ids = kafka.ids(topics)
    # Another broker may have answered, which does not know of a new topic yet.
    if unknown := [topic.name(settings.kafka_topic_prefix) for topic in topics if topic not in ids]:
        raise TopicsDifferError([*map(missing_topic, unknown)])
    return ids


def _may_compare(allowed: AbstractSet[Operation] | None) -> bool:
    """Return whether this user may see the settings of a topic, as far as Kafka tells."""
    return allowed is None or Operation.DESCRIBE_CONFIGS in allowed
