"""
Every metric of streams, named once.

Each scrape reads the totals of callbacks from the rows themselves: they stay exact through crashes and rebalances.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.app import StreamsApp
from streams.contract.records import Reason
from streams.contract.topics import WATCHED_PARTITION
from streams.domain.alarms.hanging import MOST_CAMPAIGNS, watched_campaigns
from streams.domain.alarms.told import told_alarms
from streams.domain.tally import read_tally
from streams.health import LagAges, lags
from streams.state.checkpoint import Flushed

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_RECORDS: Final = (1, 10, 100, 1_000, 10_000, 100_000)


class FlushMetrics:
    """The figures of all flushes; call it with each one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "routee_streams_flush_seconds", "Duration of a checkpoint.", ["table"], buckets=_SECONDS, registry=registry
        )
        self._rows = Histogram(
            "routee_streams_flush_rows", "Rows in a checkpoint.", ["table"], buckets=_RECORDS, registry=registry
        )
        self._outputs = Histogram(
            "routee_streams_flush_outputs", "Outputs of a checkpoint.", ["table"], buckets=_RECORDS, registry=registry
        )

    def __call__(self, flushed: Flushed) -> None:
        """Count one flush."""
        self._seconds.labels(flushed.table).observe(flushed.seconds)
        self._rows.labels(flushed.table).observe(flushed.rows)
        self._outputs.labels(flushed.table).observe(flushed.outputs)


def notices_metric(registry: CollectorRegistry) -> Counter:
    """Return the counter of notices to the webhook by their outcome."""
    return Counter(
        "routee_streams_alarm_notices", "Notices to the webhook of alarms by outcome.", ["outcome"], registry=registry
    )


class StateMetrics(Collector):
    """
    The figures of a worker's tables.

    Totals have the partition as a label: when it moves to another worker, its totals move with it.
    """

    def __init__(self, app: StreamsApp, ages: LagAges) -> None:
        self._app = app
        self._ages = ages

    def describe(self) -> list[Metric]:
        """Return nothing: registration must not read from an app that does not run yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as of now."""
        yield from self._totals()
        rows = GaugeMetricFamily("routee_streams_rows", "Rows in local state, about.", labels=["table"])
        owned = GaugeMetricFamily("routee_streams_partitions", "Partitions owned.", labels=["table"])
        for table in self._app.checkpointed:
            rows.add_metric([table.name], table.store.estimate_rows())
            owned.add_metric([table.name], len(table.checkpointer.owned))
        lag = GaugeMetricFamily(
            "routee_streams_lag_records", "Source records not yet durable.", labels=["table", "partition"]
        )
        for (table_name, partition), records in lags(self._app).items():
            lag.add_metric([table_name, str(partition)], records)
        age = GaugeMetricFamily(
            "routee_streams_lag_seconds",
            "Age of the oldest source record that is not durable, 0 when there is none.",
            labels=["table", "partition"],
        )
        for (table_name, partition), seconds in self._ages.seconds().items():
            age.add_metric([table_name, str(partition)], seconds)
        expected = GaugeMetricFamily(
            "routee_streams_partitions_expected",
            "Partitions of each table that all workers together have to own: KAFKA_PARTITIONS.",
            value=self._app.conf.topic_partitions,
        )
        yield from (rows, owned, expected, lag, age)
        yield self._open_alarms()
        yield self._watched_campaigns()
        yield from self._standby()
        yield from self._restores()

    def _totals(self) -> Iterator[Metric]:
        accepted = CounterMetricFamily(
            "routee_streams_accepted", "Callbacks taken in: the sum of all verdicts.", labels=["partition"]
        )
        verdicts = CounterMetricFamily(
            "routee_streams_callbacks", "Callbacks by what became of them.", labels=["verdict", "partition"]
        )
        rejected = CounterMetricFamily(
            "routee_streams_rejected", "Rejected callbacks by reason.", labels=["reason", "partition"]
        )
        notes = CounterMetricFamily(
            "routee_streams_notes",
            "Odd parts of callbacks: left out, repaired, or kept though a date is in the future or a status unknown.",
            labels=["note", "partition"],
        )
        for number, owned in self._app.sms.checkpointer.owned.items():
            tally = read_tally(owned.partition.rows)
            accepted.add_metric([str(number)], tally["accepted"])
            for verdict, count in tally["verdicts"].items():
                verdicts.add_metric([verdict, str(number)], count)
            # A reason begins at 0, or its first callbacks would be no increase for Prometheus.
            for reason, count in (dict.fromkeys(Reason, 0) | tally["rejected"]).items():
                rejected.add_metric([reason, str(number)], count)
            for note, count in tally["notes"].items():
                notes.add_metric([note, str(number)], count)
        return iter((accepted, verdicts, rejected, notes))

    def _open_alarms(self) -> Metric:
        """Return a sample for each open alarm: their number is bounded, as are the routes that are watched."""
        alarms = GaugeMetricFamily(
            "routee_streams_alarm_open",
            "1 for each open alarm of deliveries that is not muted.",
            labels=["kind", "subject", "level"],
        )
        owned = self._app.alarms.checkpointer.owned.get(WATCHED_PARTITION)
        if owned is not None:
            for record in told_alarms(owned.partition.rows, is_open=True):
                if record["muted_until"] is None:
                    alarms.add_metric([record["kind"], record["subject"], record["level"]], 1)
        return alarms

    def _watched_campaigns(self) -> Metric:
        """Return how many campaigns are watched, at the worker that has the partition of the alarms."""
        campaigns = GaugeMetricFamily(
            "routee_streams_alarm_campaigns",
            f"Campaigns that the alarms watch: at {MOST_CAMPAIGNS} a further one is not watched.",
            labels=[],
        )
        owned = self._app.alarms.checkpointer.owned.get(WATCHED_PARTITION)
        if owned is not None:
            campaigns.add_metric([], watched_campaigns(owned.partition.rows))
        return campaigns

    def _standby(self) -> Iterator[Metric]:
        standby = self._app.standby
        yield GaugeMetricFamily(
            "routee_streams_standby_partitions",
            "Partitions of other workers whose rows are at hand.",
            value=len(standby.at_hand),
        )
        yield CounterMetricFamily(
            "routee_streams_standby_records",
            "Changelog records that were read for other workers' partitions.",
            value=standby.records,
        )

    def _restores(self) -> Iterator[Metric]:
        recovery = self._app.bulk_recovery
        yield GaugeMetricFamily(
            "routee_streams_restore_seconds", "Duration of the last restore.", value=recovery.restore_seconds
        )
        yield GaugeMetricFamily(
            "routee_streams_restored_records", "Records of the last restore.", value=recovery.restored_records
        )
