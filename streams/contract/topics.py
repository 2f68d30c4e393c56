"""
Every topic, named once: its content, its writers and readers, and its retention.
"""

from dataclasses import dataclass, field
from typing import Final

_DAY_MS = 24 * 60 * 60 * 1000
_DELETE_AFTER_7_DAYS = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)}
_DELETE_AFTER_30_DAYS = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)}
# A reader less than a day behind sees every change; one further behind sees the latest of each key.
_COMPACT_AFTER_A_DAY = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(_DAY_MS)}
# A checkpoint of one partition is one record batch, which may be larger than any other record even for one envelope.
# Tombstones stay for at least a day: a worker trusts its local rows only for half of that (streams/state/store).
_COMPACT = {"cleanup.policy": "compact", "max.message.bytes": str(16 << 20), "delete.retention.ms": str(_DAY_MS)}


@dataclass(frozen=True, slots=True)
class Topic:
    """
    One topic: its name without the prefix, and the configuration it is created with.

    `public` topics follow the contract, and any program may read them; the others are internal and may change.
    """

    suffix: str
    about: str
    config: dict[str, str] = field(hash=False)
    public: bool = True

    def name(self, prefix: str) -> str:
        """Return the full name, for example `routee.sms.status` under the prefix `routee.`."""
        return prefix + self.suffix


CALLBACKS_RAW: Final = Topic(
    "callbacks.raw",
    "envelopes of callbacks as Routee sent them; ingest → streams, replay",
    _DELETE_AFTER_7_DAYS,
)
CALLBACKS_REJECTED: Final = Topic(
    "callbacks.rejected",
    "every refused byte with its reason; ingest, streams → sinks",
    _DELETE_AFTER_30_DAYS,
)
SMS_STATUS: Final = Topic(
    "sms.status", "one record per applied change of an SMS; streams → sinks, your readers", _COMPACT_AFTER_A_DAY
)
CAMPAIGN_PROGRESS: Final = Topic(
    "campaign.progress", "the progress of each campaign; streams → sinks, your readers", _COMPACT_AFTER_A_DAY
)
SINKS_REJECTED: Final = Topic(
    "sinks.rejected",
    "rows that ClickHouse refused, with its message; sinks → people",
    # Room for a record of another topic plus the growth by JSON or base64.
    _DELETE_AFTER_30_DAYS | {"max.message.bytes": str(2 << 20)},
)
# Neither compacted nor transactional, because its reader checks that offsets are contiguous.
CAMPAIGN_PARTIALS: Final = Topic(
    "campaign.partials",
    "counts of one source partition, and reports; streams → streams",
    _DELETE_AFTER_7_DAYS,
    public=False,
)

PUBLIC_TOPICS: Final = (CALLBACKS_RAW, CALLBACKS_REJECTED, SMS_STATUS, CAMPAIGN_PROGRESS, SINKS_REJECTED)


def changelog(table: str) -> Topic:
    """Return the internal changelog topic of one state table of streams."""
    return Topic(f"streams-{table}-changelog", f"state of the table {table}", _COMPACT, public=False)


ALL_TOPICS: Final = (*PUBLIC_TOPICS, CAMPAIGN_PARTIALS, changelog("sms"), changelog("campaigns"))
