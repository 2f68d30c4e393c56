"""
Every topic, named once: its content, its writers and readers, its settings, and the harm of other settings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_DAY_MS = 24 * 60 * 60 * 1000

# Kafka's clock says when a record came, and so when it may go: a clock of ours may be wrong. No election may take back
# an acknowledged record. A million bytes have room for the largest batch of ingest, and of an output of streams.
_ALL = {
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
    "max.message.bytes": str(1_000_000),
}
# No number of bytes deletes a record before its time. Kafka deletes whole segments: without a new one each day, the
# records of a quiet topic would stay for a week longer than promised.
_DELETE = _ALL | {"cleanup.policy": "delete", "retention.bytes": "-1", "segment.ms": str(_DAY_MS)}
_DELETE_AFTER_7_DAYS = _DELETE | {"retention.ms": str(7 * _DAY_MS)}
_DELETE_AFTER_30_DAYS = _DELETE | {"retention.ms": str(30 * _DAY_MS)}
_COMPACT = _ALL | {"cleanup.policy": "compact"}
# A record that was replaced leaves by a date: Kafka closes a segment each day, and compacts closed ones six days later.
# An erased number lies in such records.
_SUPERSEDED_LEAVE = {"segment.ms": str(_DAY_MS), "max.compaction.lag.ms": str(6 * _DAY_MS)}
# A reader less than a day behind sees every change; one further behind sees the latest of each key.
_COMPACT_AFTER_A_DAY = _COMPACT | {"min.compaction.lag.ms": str(_DAY_MS)}
# Compaction joins segments up to their size, and a joined segment is as young as its youngest record: small ones go
# sooner. A broker has three files open for each, so they are not smaller: 30 days of 10 million SMS are about 20,000.
_LATEST = _DELETE | {
    "cleanup.policy": "compact,delete",
    "min.compaction.lag.ms": str(_DAY_MS),
    "segment.bytes": str(16 << 20),
}
# A checkpoint of one partition is one record batch, which may be larger than any other record even for one envelope.
# Tombstones stay for at least a day: a worker trusts its local rows only for half of that (streams/state/store).
_CHANGELOG = _COMPACT | _SUPERSEDED_LEAVE | {"max.message.bytes": str(16 << 20), "delete.retention.ms": str(_DAY_MS)}

SAFE_REPLICATION: Final = 3
"""With so many replicas, two must have each record: one broker may go without stopping writers."""

_SAFE_IN_SYNC: Final = 2
_IN_SYNC: Final = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Found:
    """
    A topic as Kafka describes it.

    `replication` is that of its least replicated partition. `config` has the settings in force, whether the topic has
    them itself or by default of its brokers; servers that are not Apache Kafka leave out some that they do not have. It
    is empty when this user may not see the settings.
    """

    partitions: int
    replication: int
    config: Mapping[str, str]

    @property
    def copies(self) -> int:
        """How many replicas have a record, at least, when it is acknowledged."""
        return min(self.replication, _whole_number(self.config.get(_IN_SYNC)) or 1)


class Fault(NamedTuple):
    """
    A setting of a topic that is not as it should be, and the harm.

    When it is `refused`, acknowledged records may be lost, or programs stand still. Otherwise programs work with it.
    """

    setting: str
    found: str
    wanted: str
    harm: str
    refused: bool


class Rule(NamedTuple):
    """The values of a setting that will do beside the one that a topic is created with, and the harm of all others."""

    will_do: str
    satisfies: Callable[[int, int], bool] | None
    harm: str
    unusual: Callable[[int, int], bool] | None = None
    """The other values that are only worth a warning."""


RULES: Final[dict[str, Rule]] = {
    "cleanup.policy": Rule("no other", None, "records are deleted, or kept, by another rule"),
    "retention.ms": Rule(
        "more, or -1", lambda found, wanted: found < 0 or found >= wanted, "records are deleted before they were read"
    ),
    "retention.bytes": Rule("no other", lambda found, _: found < 0, "records are deleted before they were read"),
    "message.timestamp.type": Rule(
        "no other", None, "a wrong clock of ours decides when records are deleted, and whether Kafka takes them"
    ),
    "unclean.leader.election.enable": Rule(
        "no other", None, "an election may take back records that were acknowledged"
    ),
    "max.message.bytes": Rule("more", lambda found, wanted: found >= wanted, "larger records are not taken"),
    "segment.ms": Rule("less", lambda found, wanted: found <= wanted, "records may stay for that much longer"),
    "segment.bytes": Rule("less", lambda found, wanted: found <= wanted, "records may stay for much longer"),
    "min.compaction.lag.ms": Rule("more", lambda found, wanted: found >= wanted, "readers may miss a change"),
    "max.compaction.lag.ms": Rule(
        "less", lambda found, wanted: found <= wanted, "records that were replaced may stay for that much longer"
    ),
    "delete.retention.ms": Rule("more", lambda found, wanted: found >= wanted, "deletions may be missed"),
}
"""How each setting of a topic is compared; without `satisfies`, by its text."""

# Refused callbacks stay as long as the callbacks themselves, and no longer.
_RULES_OF_REFUSED: Final = RULES | {
    "retention.ms": Rule(
        "no other",
        lambda found, wanted: found == wanted,
        "records are deleted before they were read, or stay longer than the callbacks",
        unusual=lambda found, wanted: found < 0 or found > wanted,
    )
}
# The days of these are for the owner to choose.
_RULES_OF_LATEST: Final = RULES | {
    "cleanup.policy": Rule("no other", None, "records stay for ever, or superseded ones do"),
    "retention.ms": Rule("any other", lambda *_: True, "set together with `cleanup.policy`, whose days begin then"),
}

_POLICY: Final = "cleanup.policy"
_OF_DELETION: Final = frozenset({"retention.ms", "retention.bytes"})
_UNUSUAL: Final = frozenset({"message.timestamp.type", "segment.ms", "segment.bytes", "max.compaction.lag.ms"})


@dataclass(frozen=True, slots=True)
class Topic:
    """
    One topic: its name without the prefix, and the settings it is created with.

    `key` is the key of its records, `spread` the rule that gives a record its partition; both in words, for readers.
    Settings in `tolerated` may differ with a warning; any other difference is refused.
    """

    suffix: str
    about: str
    config: dict[str, str] = field(hash=False)
    key: str = "none"
    spread: str = "any partition"
    tolerated: frozenset[str] = _UNUSUAL
    partitions: int | None = None
    """How many it always has; None: KAFKA_PARTITIONS."""
    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES, hash=False, repr=False)

    def name(self, prefix: str) -> str:
        """Return the full name, for example `routee.sms.status` under the prefix `routee.`."""
        return prefix + self.suffix

    def config_with(self, replication: int) -> dict[str, str]:
        """Return the settings to create the topic with; of three replicas or more, two must have each record."""
        return self.config | ({_IN_SYNC: str(_SAFE_IN_SYNC)} if replication >= SAFE_REPLICATION else {})

    def faults(self, found: Found) -> list[Fault]:
        """Return the settings that are known not to be as they should."""
        return [*self._faults_of_config(found.config), *_faults_of_replicas(found)]

    def untold(self, found: Found) -> list[str]:
        """Return the settings of which Kafka tells no value: whether they are as they should be is not known."""
        return [setting for setting in self.config_with(found.replication) if setting not in found.config]

    def _faults_of_config(self, config: Mapping[str, str]) -> list[Fault]:
        """
        Return the settings that differ.

        Where no record was deleted by its age so far, the first days are those of the topic: with the policy alone,
        days that a broker has by default would begin to count.
        """
        begins = "delete" not in config.get(_POLICY, self.config[_POLICY]) and "delete" in self.config[_POLICY]
        return [
            Fault(setting, config[setting], wanted, self.rules[setting].harm, self._is_refused(setting, config, begins))
            for setting, wanted in self.config.items()
            if setting in config and self._differs(setting, config[setting], exactly=begins)
        ]

    def _differs(self, setting: str, found: str, *, exactly: bool) -> bool:
        if exactly and setting in _OF_DELETION:
            return found != self.config[setting]
        return not _satisfies(self.rules[setting], found, self.config[setting])

    def _is_refused(self, setting: str, config: Mapping[str, str], begins: bool) -> bool:  # noqa: FBT001
        if setting in self.tolerated or (begins and setting in _OF_DELETION):
            return False
        unusual, found = self.rules[setting].unusual, _whole_number(config[setting])
        return not (unusual and found is not None and unusual(found, int(self.config[setting])))


def _satisfies(rule: Rule, found: str, wanted: str) -> bool:
    if rule.satisfies is None:
        return {*found.split(",")} == {*wanted.split(",")}
    number = _whole_number(found)
    return number is not None and rule.satisfies(number, int(wanted))


def _faults_of_replicas(found: Found) -> list[Fault]:
    if (text := found.config.get(_IN_SYNC)) is None:
        return []
    in_sync = _whole_number(text)
    if in_sync is not None and found.replication < in_sync:
        wanted, harm = min(_SAFE_IN_SYNC, max(1, found.replication - 1)), "there are fewer replicas: nothing is stored"
    elif found.replication >= SAFE_REPLICATION and (in_sync is None or in_sync < _SAFE_IN_SYNC):
        wanted, harm = _SAFE_IN_SYNC, "a single copy is enough for an acknowledgement"
    else:
        return []
    return [Fault(_IN_SYNC, text, str(wanted), harm, refused=True)]


def _whole_number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


# Ingest halves an envelope, or a batch of rejections, that is too large for its topic.
_OF_INGEST: Final = _UNUSUAL | {"max.message.bytes"}
# A topic of 0.1.0 is compacted only, and an owner may keep it so.
_OF_LATEST: Final = _UNUSUAL | {_POLICY}

CALLBACKS_RAW: Final = Topic(
    "callbacks.raw",
    "envelopes of callbacks as Routee sent them; ingest → streams, replay",
    _DELETE_AFTER_7_DAYS,
    key="the callback's key when it is alone in its record, else none",
    spread="CRC-32 of the callback's key (`messageId`, else `trackingId`) in lower case, modulo the partitions",
    tolerated=_OF_INGEST,
)
CALLBACKS_REJECTED: Final = Topic(
    "callbacks.rejected",
    "every refused callback with its reason; ingest, streams → sinks",
    _DELETE_AFTER_7_DAYS,
    tolerated=_OF_INGEST,
    rules=_RULES_OF_REFUSED,
)
SMS_STATUS: Final = Topic(
    "sms.status",
    "one record per applied change of an SMS; streams → sinks, your readers",
    _LATEST | _SUPERSEDED_LEAVE | {"retention.ms": str(30 * _DAY_MS)},
    key="`sms_key`",
    spread="CRC-32 of `message_id` in lower case, modulo the partitions: the partition of its callback",
    tolerated=_OF_LATEST,
    rules=_RULES_OF_LATEST,
)
CAMPAIGN_PROGRESS: Final = Topic(
    "campaign.progress",
    "the progress of each campaign; streams → sinks, your readers",
    _LATEST | {"retention.ms": str(400 * _DAY_MS)},
    key="`campaign_tracking_id`",
    spread="murmur2 of the key in lower case, modulo the partitions, as by Kafka's Java client",
    tolerated=_OF_LATEST,
    rules=_RULES_OF_LATEST,
)
SINKS_REJECTED: Final = Topic(
    "sinks.rejected",
    "records that a sink could not write, with the words of its store; sinks → people",
    # Room for a record of another topic plus the growth by JSON or base64.
    _DELETE_AFTER_30_DAYS | {"max.message.bytes": str(2 << 20)},
)
# Kept for ever: without an erasure, the numbers of older callbacks would come back. One partition has one order.
ERASURES: Final = Topic(
    "erasures",
    "recipients to erase, as marks; `routee-streams erase` → streams, sinks",
    _COMPACT_AFTER_A_DAY,
    key="`mark`",
    spread="there is one partition",
    partitions=1,
)
# Neither compacted nor transactional, because its reader checks that offsets are contiguous.
CAMPAIGN_PARTIALS: Final = Topic(
    "campaign.partials",
    "counts of one source partition, and reports; streams → streams",
    _DELETE_AFTER_7_DAYS,
)

DELIVERY_WINDOWS: Final = Topic(
    "delivery.windows",
    "counts of SMS by time of sending and route; streams → sinks, your readers",
    _LATEST | {"retention.ms": str(35 * _DAY_MS)},
    key="`cell`",
    spread="murmur2 of country and operator as JSON, modulo the partitions",
    tolerated=_OF_LATEST,
    rules=_RULES_OF_LATEST,
)
DELIVERY_PARTIALS: Final = Topic(
    "delivery.partials",
    "counts of the cells of one source partition; streams → streams",
    _DELETE_AFTER_7_DAYS,
)

DELIVERY_ALARMS: Final = Topic(
    "delivery.alarms",
    "alarms of deliveries that open and close; streams → sinks, your readers",
    _LATEST | {"retention.ms": str(400 * _DAY_MS)},
    key="`alarm`",
    spread="partition 0",
    tolerated=_OF_LATEST,
    rules=_RULES_OF_LATEST,
)
WATCHED_PARTITION: Final = 0
"""Of the topic of the alarms: those of several routes need all cells and ticks in one order."""
DELIVERY_WATCH: Final = Topic(
    "delivery.watch",
    "cells and campaigns as the alarms read them, and the ticks of time; streams → streams",
    _DELETE_AFTER_7_DAYS,
    spread="partition 0",
)

PUBLIC_TOPICS: Final = (
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    SMS_STATUS,
    CAMPAIGN_PROGRESS,
    DELIVERY_WINDOWS,
    DELIVERY_ALARMS,
    SINKS_REJECTED,
    ERASURES,
)
"""The topics of the contract, which any program may read; the others are internal and may change."""


def changelog(table: str) -> Topic:
    """Return the internal changelog topic of one state table of streams."""
    return Topic(f"streams-{table}-changelog", f"state of the table {table}", _CHANGELOG)


CHANGELOGS: Final = (changelog("sms"), changelog("campaigns"), changelog("deliveries"), changelog("alarms"))
"""Of the state tables of streams."""

ALL_TOPICS: Final = (*PUBLIC_TOPICS, CAMPAIGN_PARTIALS, DELIVERY_PARTIALS, DELIVERY_WATCH, *CHANGELOGS)
