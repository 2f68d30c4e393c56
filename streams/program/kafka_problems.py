"""
Problems with Kafka that every program finds in its own way, in the same words: one line, with what to do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.contract.topics import SAFE_REPLICATION, Fault, Found, Topic
from streams.program.settings import CommonSettings


@dataclass(slots=True)
class Findings:
    """Lines about topics: `refused` differences keep a program from starting, the others are worth a warning."""

    refused: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)


def missing_topic(name: str) -> str:
    """Return the problem of a topic that does not exist."""
    return f"topic {name} does not exist: run `routee-streams topics`"


def topic_problem(name: str, partitions: int, settings: CommonSettings) -> str | None:
    """Return the problem of a topic with so many partitions, 0 when it does not exist; None when it is as it should."""
    if not partitions:
        return missing_topic(name)
    if partitions != settings.kafka_partitions:
        wanted = settings.kafka_partitions
        return f"topic {name} has {partitions} partitions, not {wanted}: set KAFKA_PARTITIONS={partitions}"
    return None


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
        findings.refused += _lines(name, [fault for fault in faults if fault.refused], settings)
        findings.warned += _lines(name, [fault for fault in faults if not fault.refused], settings)
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


def _lines(name: str, faults: Iterable[Fault], settings: CommonSettings) -> list[str]:
    """Return one line for the faults of a topic, with the change to make; none without faults."""
    faults = list(faults)
    if not faults:
        return []
    now = ", ".join(f"{fault.setting}={fault.found}" for fault in faults)
    harm = "; ".join(dict.fromkeys(fault.harm for fault in faults))
    then = ",".join(f"{fault.setting}={fault.wanted}" for fault in faults)
    command = (
        f"kafka-configs.sh --bootstrap-server {settings.kafka_bootstrap_servers} --alter --entity-type topics "
        f"--entity-name {name} --add-config {then}"
    )
    return [f"topic {name} has {now} ({harm}): `routee-streams topics --alter`, or `{command}`"]


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
        "more, give each topic three replicas: at its creation, or by `kafka-reassign-partitions.sh`"
    )
    return [line]


def _is_one_copy(found: Found) -> bool:
    return found.copies == 1 and found.replication < SAFE_REPLICATION  # a single copy of more replicas is refused


def refused_user(settings: CommonSettings, why: str) -> str:
    """Return the problem of a user whom the brokers do not let in; `why` is the client's name for it."""
    servers = f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"
    return f"Kafka at {servers} refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD ({why})"
