"""
The operations on Kafka's resources that the user of each program needs, and those of a consumer: its ACLs.

Kafka counts some operations in: Read, Write and Delete allow Describe, AlterConfigs allows DescribeConfigs. So each
program has the fewest permissions, and each of them is needed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, IntEnum
from typing import Final, NamedTuple

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
    SINKS_REJECTED,
    SMS_STATUS,
    Topic,
)


class Operation(IntEnum):
    """Kafka's operations, with the numbers of its protocol; the number is the bit of an operation, too."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12

    @property
    def word(self) -> str:
        """Return the operation as Kafka spells it, for example `DescribeConfigs`."""
        return "".join(part.capitalize() for part in self.name.split("_"))


class Kind(Enum):
    """The kinds of resources, in the words of messages."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional id"
    CLUSTER = "cluster"


class Resource(NamedTuple):
    """A resource by its full name; with `is_prefix` all resources whose names begin so (a prefixed ACL)."""

    kind: Kind
    name: str
    is_prefix: bool = False


class Need(Enum):
    """The harm when a permission is missing."""

    ALWAYS = "it does not work"
    SETTINGS = "a warning: the settings of topics are not compared"
    ARCHIVE = "needed with `raw_callbacks` in `SINKS_TABLES` only"
    OLD_BROKERS = "needed with brokers before Kafka 2.8 only"


class Permission(NamedTuple):
    """One operation on one resource: what Kafka calls an ACL, without its user."""

    operation: Operation
    resource: Resource
    need: Need = Need.ALWAYS


CLUSTER: Final = Resource(Kind.CLUSTER, "kafka-cluster")
"""The cluster, under the only name that it has in an ACL."""

YOUR_GROUP: Final = "YOUR-GROUP"
"""Stands for the group that a consumer chose."""


_PARTIALS: Final = (CAMPAIGN_PARTIALS, DELIVERY_PARTIALS, DELIVERY_WATCH)


def ingest(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-ingest`."""
    written = (CALLBACKS_RAW, CALLBACKS_REJECTED)
    return (*_on(written, prefix, Operation.WRITE), *_settings_of(written, prefix))


def backfill(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-ingest backfill`, besides those of `routee-ingest`."""
    return tuple(_on((SMS_STATUS, CAMPAIGN_PROGRESS), prefix, Operation.READ))


def redrive(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-ingest redrive`, besides those of `routee-ingest`."""
    return tuple(_on((CALLBACKS_RAW, CALLBACKS_REJECTED, ERASURES), prefix, Operation.READ))


def worker(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams worker`, which `routee-streams check` looks for."""
    read = (CALLBACKS_RAW, *_PARTIALS, *CHANGELOGS, ERASURES)
    latest = (SMS_STATUS, CAMPAIGN_PROGRESS, DELIVERY_WINDOWS, DELIVERY_ALARMS)
    written = (CALLBACKS_REJECTED, *latest, *_PARTIALS, *CHANGELOGS)
    group = f"{prefix}streams"
    return (
        *_on(read, prefix, Operation.READ),
        *_on(written, prefix, Operation.WRITE),
        *_settings_of(dict.fromkeys((*read, *written)), prefix),
        Permission(Operation.READ, Resource(Kind.GROUP, group)),
        # An id for each partition of a changelog: a fence, not a transaction.
        Permission(Operation.WRITE, Resource(Kind.TRANSACTIONAL_ID, f"{group}:", is_prefix=True)),
        _IDEMPOTENT,
    )


def webhook(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of a worker with STREAMS_ALARM_WEBHOOK beside those of every worker."""
    return (
        *_on([DELIVERY_ALARMS], prefix, Operation.READ),
        Permission(Operation.READ, Resource(Kind.GROUP, webhook_group(prefix))),
    )


def webhook_group(prefix: str) -> str:
    """Return the consumer group that tells the webhook of alarms."""
    return f"{prefix}streams-webhook"


def mute(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams alarms`."""
    return (*_on([DELIVERY_WATCH], prefix, Operation.WRITE), *_settings_of([DELIVERY_WATCH], prefix), _IDEMPOTENT)


def topics(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams topics`. Create on the cluster does as well as on the topics."""
    return (*_on(ALL_TOPICS, prefix, Operation.DESCRIBE, Operation.CREATE), *_settings_of(ALL_TOPICS, prefix))


def alter(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams topics --alter`, which creates missing topics, too."""
    return tuple(_on(ALL_TOPICS, prefix, Operation.DESCRIBE, Operation.CREATE, Operation.ALTER_CONFIGS))


def rebuild(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams rebuild --campaigns --deliveries`."""
    return (
        *_on((CALLBACKS_RAW, *_PARTIALS), prefix, Operation.READ),
        *_on(CHANGELOGS, prefix, Operation.DELETE, Operation.CREATE),
        Permission(Operation.DELETE, Resource(Kind.GROUP, f"{prefix}streams")),
    )


def erase(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams erase`."""
    return (*_on([ERASURES], prefix, Operation.READ, Operation.WRITE), *_settings_of([ERASURES], prefix), _IDEMPOTENT)


def verify(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams erase --verify` and `routee-streams export`."""
    return (*_on(ALL_TOPICS, prefix, Operation.READ), *_settings_of(ALL_TOPICS, prefix))


def replay(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-streams replay --from kafka`."""
    return tuple(_on((CALLBACKS_RAW, ERASURES), prefix, Operation.READ))


def sinks(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-sinks`, with the groups of both sinks."""
    read = (SMS_STATUS, CAMPAIGN_PROGRESS, DELIVERY_WINDOWS, DELIVERY_ALARMS, CALLBACKS_REJECTED, ERASURES)
    return (
        *_on(read, prefix, Operation.READ),
        *(one._replace(need=Need.ARCHIVE) for one in _on([CALLBACKS_RAW], prefix, Operation.READ)),
        *_on([SINKS_REJECTED], prefix, Operation.WRITE),
        *_settings_of((*read, SINKS_REJECTED), prefix),
        *(
            Permission(Operation.READ, Resource(Kind.GROUP, f"{prefix}sinks-{sink}"))
            for sink in ("clickhouse", "files")
        ),
        _IDEMPOTENT,
    )


def console(prefix: str) -> tuple[Permission, ...]:
    """Return the permissions of `routee-console`, which is in no group."""
    read = (CAMPAIGN_PROGRESS, DELIVERY_WINDOWS, DELIVERY_ALARMS, CALLBACKS_RAW)
    return tuple(_on(read, prefix, Operation.READ))


def consumer(prefix: str, group: str = YOUR_GROUP) -> tuple[Permission, ...]:
    """Return the permissions of a consumer of the public topics of results, in a group."""
    return (
        *_on((SMS_STATUS, CAMPAIGN_PROGRESS, DELIVERY_WINDOWS, DELIVERY_ALARMS), prefix, Operation.READ),
        Permission(Operation.READ, Resource(Kind.GROUP, group)),
    )


_IDEMPOTENT: Final = Permission(Operation.IDEMPOTENT_WRITE, CLUSTER, Need.OLD_BROKERS)

PERMISSIONS: Final[Mapping[str, Callable[[str], tuple[Permission, ...]]]] = {
    "routee-ingest": ingest,
    "routee-ingest backfill": backfill,
    "routee-ingest redrive": redrive,
    "routee-streams worker": worker,
    "routee-streams worker with STREAMS_ALARM_WEBHOOK": webhook,
    "routee-streams alarms": mute,
    "routee-streams topics": topics,
    "routee-streams topics --alter": alter,
    "routee-streams rebuild --campaigns --deliveries": rebuild,
    "routee-streams erase": erase,
    "routee-streams erase --verify": verify,
    "routee-streams replay --from kafka": replay,
    "routee-sinks": sinks,
    "routee-console": console,
    "a consumer": consumer,
}
"""The table: for each program, given the prefix of names, its permissions."""


def operations_on(resource: Resource, permissions: Iterable[Permission]) -> list[Operation]:
    """Return the operations on a resource without which a program does not work, as the table has them."""
    return [one.operation for one in permissions if one.resource == resource and one.need is Need.ALWAYS]


def _on(topics: Iterable[Topic], prefix: str, *operations: Operation) -> Iterator[Permission]:
    for topic in topics:
        for operation in operations:
            yield Permission(operation, Resource(Kind.TOPIC, topic.name(prefix)))


def _settings_of(topics: Iterable[Topic], prefix: str) -> Iterator[Permission]:
    for topic in topics:
        yield Permission(Operation.DESCRIBE_CONFIGS, Resource(Kind.TOPIC, topic.name(prefix)), Need.SETTINGS)
