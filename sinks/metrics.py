"""
The metrics, each named once, and the readiness of the program.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from sinks.source import TopicPartition
from streams.program.registry import new_registry

_BATCH_ROWS: Final = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000)
_WRITE_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One set per process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.rows = Counter("routee_sinks_rows", "Rows written", ["table"], registry=self.registry)
        self.rejected = Counter(
            "routee_sinks_rejected_rows",
            "Rows that no store takes, kept in sinks.rejected",
            ["table"],
            registry=self.registry,
        )
        self.empty = Counter(
            "routee_sinks_empty_records", "Records without a value, passed over", ["table"], registry=self.registry
        )
        self.expired = Counter(
            "routee_sinks_expired_records",
            "Offsets that Kafka deleted before they were read",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.retries = Counter(
            "routee_sinks_retries", "Writes that failed and were tried again", ["table"], registry=self.registry
        )
        self.batch_rows = Histogram(
            "routee_sinks_batch_rows", "Records per batch", buckets=_BATCH_ROWS, registry=self.registry
        )
        self.write_seconds = Histogram(
            "routee_sinks_write_seconds",
            "Seconds from a due batch to durable rows",
            buckets=_WRITE_SECONDS,
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "routee_sinks_lag_records",
            "Records that are not written yet",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "routee_sinks_lag_seconds",
            "Age of the oldest record that is not written yet, 0 when there is none",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.commits_failed = Counter(
            "routee_sinks_failed_commits", "Commits that Kafka did not take", registry=self.registry
        )
        self.erased = Counter(
            "routee_sinks_erased_rows",
            "Rows of the store that lost the data of an erased person",
            registry=self.registry,
        )
        self.schema_differences = Gauge(
            "routee_sinks_schema_differences",
            "Tables and views of ClickHouse that are missing or differ from the schema",
            registry=self.registry,
        )

    def show_lag(
        self,
        ends: Mapping[TopicPartition, int],
        waiting: Mapping[TopicPartition, tuple[int, int]],
        now_ms: int,
    ) -> None:
        """Set the lag of the partitions in `ends`, from the position and the time (ms) of the next record to write."""
        self.lag_records.clear()
        self.lag_seconds.clear()
        for partition, end in ends.items():
            position, timestamp = waiting.get(partition, (0, now_ms))
            records = max(0, end - position)
            age = max(0, now_ms - timestamp) / 1000 if records else 0
            self.lag_records.labels(partition.topic, partition.partition).set(records)
            self.lag_seconds.labels(partition.topic, partition.partition).set(age)


class Readiness:
    """Why the program is not ready: a reason at most per concern (group, store, clickhouse, …)."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {"group": "not a member of the consumer group yet"}

    def trouble(self, concern: str, reason: str) -> None:
        """Set the reason of a concern."""
        self._reasons[concern] = reason

    def fine(self, concern: str) -> None:
        """Remove the reason of a concern."""
        self._reasons.pop(concern, None)

    @property
    def reasons(self) -> list[str]:
        """Return the reasons; none when the program is ready."""
        return [f"{concern}: {reason}" for concern, reason in sorted(self._reasons.copy().items())]
