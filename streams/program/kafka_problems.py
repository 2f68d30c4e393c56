"""
Problems with Kafka that every program finds in its own way, in the same words: one line, with what to do.

A line names our own commands and settings; a change for which we have no command is told in Kafka's words.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from streams.contract.permissions import Kind, Need, Operation, Permission, Resource, operations_on
from streams.contract.topics import SAFE_REPLICATION, Fault, Found, Topic
from streams.program.settings import CommonSettings

Told = Mapping[Resource, AbstractSet[Operation] | None]
"""The operations that Kafka allows on each resource; none where it may not be seen, None where Kafka does not tell."""


@dataclass(slots=True)
class Findings:
    """
    Lines about Kafka, by their harm.

    `unusable` are topics, and permissions that the user lacks, without which the program cannot work. `refused`
    differences of topics endanger records. The others are worth a warning.
    """

    unusable: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Return all lines but the warnings."""
        return self.unusable + self.refused

    def __add__(self, other: "Findings") -> "Findings":
        """Return the lines of both, this one's first."""
        return Findings(self.unusable + other.unusable, self.refused + other.refused, self.warned + other.warned)


def missing_topic(name: str) -> str:
    """Return the problem of a topic that does not exist."""
    return f"topic {name} does not exist: run `routee-streams topics`"


def unseen_topic(name: str, operations: Iterable[Operation]) -> str:
    """Return the problem of a topic that Kafka does not show to this user, who needs the operations on it."""
    return f"topic {name} may not be seen by this user: grant {_words(operations)}"


def another_partition_count(name: str, partitions: int, settings: CommonSettings) -> str:
    """Return the problem of a topic with another number of partitions than the settings say, and the ways out."""
    return (
        f"topic {name} has {partitions} partitions, not {settings.kafka_partitions}: set KAFKA_PARTITIONS="
        f"{partitions} if all topics were made so, or delete the topic while it is empty and run `routee-streams "
        "topics`. Of topics in use the number cannot change: begin anew under another KAFKA_TOPIC_PREFIX"
    )


def wrong_partition_count(name: str, partitions: int, wanted: int) -> str:
    """Return the problem of a topic that has another number of partitions than it always has."""
    mended = "delete it while it is empty, and run `routee-streams topics`"
    return f"topic {name} has {partitions} partitions, not {wanted}: {mended}"


def topic_problem(name: str, partitions: int, settings: CommonSettings) -> str | None:
    """Return the problem of a topic with so many partitions, 0 when it does not exist; None when it is as it should."""
    if not partitions:
        return missing_topic(name)
    if partitions != settings.kafka_partitions:
        return another_partition_count(name, partitions, settings)
    return None


def missing_permission(resource: Resource, operations: Iterable[Operation]) -> str:
    """Return the problem of a user who lacks operations on a resource."""
    named = f"{resource.kind.value} {resource.name}"
    if resource.kind is Kind.CLUSTER:
        named = "the cluster"
    elif resource.is_prefix:
        named = f"the {resource.kind.value}s that begin with `{resource.name}`"
    return f"this user needs {_words(operations)} on {named}: grant it"


def permission_findings(permissions: Iterable[Permission], told: Told) -> Findings:
    """
    Return a line for each resource on which the user lacks operations, and a warning for what Kafka does not tell.

    Resources that are not in `told` were not asked for. That settings of topics may not be seen, `topic_findings` says.
    """
    found = Findings()
    untold = []
    permissions = [one for one in permissions if one.resource in told and one.need is not Need.SETTINGS]
    for resource in dict.fromkeys(one.resource for one in permissions):
        allowed = told[resource]
        needed = [one.operation for one in permissions if one.resource == resource]
        if allowed is None:
            untold.append(f"{resource.kind.value} {resource.name}")
        elif not allowed and resource.kind is Kind.TOPIC:
            found.unusable.append(unseen_topic(resource.name, operations_on(resource, permissions)))
        elif lacking := [operation for operation in needed if operation not in allowed]:
            found.unusable.append(missing_permission(resource, lacking))
    if untold:
        found.warned.append(
            f"Kafka does not tell what this user may do: whether it may use {', '.join(untold)} shows in use"
        )
    return found


def topic_findings(topics: Mapping[Topic, Found], settings: CommonSettings) -> Findings:
    """
    Say which settings of topics are not as they should be, and how to change them, a line for each topic and severity.

    A topic without `config` is one whose settings this user may not have described.
    """
    findings = Findings()
    hidden = []
    untold: dict[str, list[str]] = {}
    for topic, found in topics.items():
        name = topic.name(settings.kafka_topic_prefix)
        if not found.config:
            hidden.append(name)
            continue
        faults = topic.faults(found)
        if unknown := topic.untold(found):
            untold.setdefault(", ".join(unknown), []).append(name)
        findings.refused += _lines(name, [fault for fault in faults if fault.refused])
        findings.warned += _lines(name, [fault for fault in faults if not fault.refused])
    if hidden:
        findings.warned.append(
            f"this user may not see the settings of {', '.join(hidden)}: nothing tells whether records are safe there. "
            "Grant DescribeConfigs, or run `routee-streams check` as a user who may"
        )
    findings.warned += [
        f"Kafka does not tell {unknown} of {', '.join(names)}: nothing tells whether records are safe there. See to it "
        "by the server's own settings"
        for unknown, names in untold.items()
    ]
    findings.warned += _few_copies(topics, settings)
    return findings


def _lines(name: str, faults: Iterable[Fault]) -> Iterator[str]:
    """Yield one line for the faults of a topic, with the change to make; none without faults."""
    if not (faults := list(faults)):
        return
    now = ", ".join(f"{fault.setting}={fault.found}" for fault in faults)
    harm = "; ".join(dict.fromkeys(fault.harm for fault in faults))
    then = ", ".join(f"{fault.setting}={fault.wanted}" for fault in faults)
    yield f"topic {name} has {now} ({harm}): run `routee-streams topics --alter`, or set {then}"


def _few_copies(topics: Mapping[Topic, Found], settings: CommonSettings) -> list[str]:
    """Return one line for all topics of which a single replica may have a record that was acknowledged."""
    few = {topic: found for topic, found in topics.items() if found.config and _is_one_copy(found)}
    if not few:
        return []
    names = ", ".join(topic.name(settings.kafka_topic_prefix) for topic in few)
    lone = all(found.replication == 1 for found in few.values())
    when = "" if lone else " while a broker is away"
    line = (
        f"what Kafka acknowledges is a single copy{when}, and is lost with its disk: {names}. With three brokers or "
        "more, give each topic three replicas: KAFKA_REPLICATION_FACTOR=3 for new topics, for others reassign their "
        "partitions in Kafka"
    )
    return [line]


def _is_one_copy(found: Found) -> bool:
    return found.copies == 1 and found.replication < SAFE_REPLICATION  # a single copy of more replicas is refused


def refused_user(settings: CommonSettings, why: str) -> str:
    """Return the problem of a user whom the brokers do not let in; `why` is the client's name for it."""
    names = "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD"
    return f"Kafka at {_servers(settings)} refuses {names} ({why})"


def unreachable(settings: CommonSettings, why: str) -> str:
    """Return the problem of brokers that do not answer."""
    return f"Kafka does not answer at {_servers(settings)} ({why})"


def failed_request(settings: CommonSettings, error: Exception) -> str:
    """Return the problem of a request that the brokers answered with an error, or no longer answered."""
    return f"Kafka at {_servers(settings)} does not do what it was asked for ({str(error) or type(error).__name__})"


def _servers(settings: CommonSettings) -> str:
    return f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"


def _words(operations: Iterable[Operation]) -> str:
    """Return the names of operations, the last one behind an `and`."""
    *others, last = [operation.word for operation in operations]
    return f"{', '.join(others)} and {last}" if others else last
