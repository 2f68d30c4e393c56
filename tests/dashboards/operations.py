"""
The dashboard of the pipeline itself.
"""

from typing import Final

from tests.dashboards.panels import Dashboard, Panel, PromQL, Row

_NO_FAULT: Final = "nothing goes wrong"
_OURS: Final = '{job=~"ingest|streams|sinks-.+"}'
_LAGS: Final = "stage:routee_lag_seconds:max"


def _quantile(share: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({share}, sum by (le{by}) (rate({metric}_bucket[$__rate_interval])))"


def _mean(metric: str) -> str:
    return f"sum(rate({metric}_sum[$__rate_interval])) / sum(rate({metric}_count[$__rate_interval]))"


_NOW: Final = Row(
    "Now",
    (
        Panel(
            "Accepted",
            "Callbacks a second that were stored and answered 200.",
            "number",
            (PromQL("sum(rate(routee_ingest_accepted_total[$__rate_interval]))"),),
            "cps",
            4,
            4,
        ),
        Panel(
            "Refused by us",
            "Share of the callbacks that were answered 503: Kafka away, too much load, too many connections.",
            "number",
            (
                PromQL(
                    "routee_ingest_refused_by_us:rate5m "
                    "/ (routee_ingest_refused_by_us:rate5m + routee_ingest_accepted:rate5m)"
                ),
            ),
            "percentunit",
            4,
            4,
            worse_from=0.01,
        ),
        Panel(
            "Oldest record that waits",
            "Of all stages: how long the oldest record has been waiting for streams or for a sink.",
            "number",
            (PromQL(f"max({_LAGS})"),),
            "s",
            4,
            4,
            worse_from=300,
        ),
        Panel(
            "Programs that answer",
            "Processes that Prometheus reaches, of all that it knows.",
            "number",
            (PromQL(f"sum(up{_OURS}) / count(up{_OURS})"),),
            "percentunit",
            4,
            4,
        ),
        Panel(
            "Alarms",
            "Alarms that are raised now; see the runbook.",
            "number",
            (PromQL('count(ALERTS{alertstate="firing"}) or vector(0)'),),
            "short",
            4,
            4,
            worse_from=1,
        ),
        Panel(
            "Least free disk",
            "Of the disks of state, files and ClickHouse, the share that is free on the fullest one.",
            "number",
            (PromQL("min(routee_disk_free_bytes / routee_disk_size_bytes)"),),
            "percentunit",
            4,
            4,
        ),
    ),
)

_INGEST: Final = Row(
    "Ingest",
    (
        Panel(
            "Callbacks",
            "A second: stored, refused as unreadable, repaired.",
            "lines",
            (
                PromQL("sum(rate(routee_ingest_accepted_total[$__rate_interval]))", "accepted"),
                PromQL("sum(rate(routee_ingest_rejected_total[$__rate_interval]))", "rejected"),
                PromQL("sum(rate(routee_ingest_repaired_total[$__rate_interval]))", "repaired"),
            ),
            "cps",
        ),
        Panel(
            "Refused, by cause",
            "Requests a second that were not stored; kafka, overload and connections are ours.",
            "lines",
            (PromQL("sum by (cause) (rate(routee_ingest_refused_total[$__rate_interval])) > 0", "{{cause}}"),),
            "cps",
            may_be_empty=_NO_FAULT,
        ),
        Panel(
            "Time to the answer",
            "Routee hangs up after 2 s. The difference to Kafka's acknowledgement is ingest's own.",
            "lines",
            (
                PromQL(_quantile(0.5, "routee_ingest_answer_seconds"), "half of all"),
                PromQL(_quantile(0.99, "routee_ingest_answer_seconds"), "99 of 100"),
                PromQL(_quantile(0.99, "routee_ingest_kafka_ack_seconds"), "Kafka, 99 of 100"),
            ),
            "s",
        ),
        Panel(
            "Stored together",
            "Callbacks of an envelope, on average.",
            "lines",
            (PromQL(_mean("routee_ingest_envelope_callbacks"), "callbacks"),),
        ),
        Panel(
            "Connections",
            "Open connections of each ingest.",
            "lines",
            (PromQL("sum by (instance) (routee_ingest_connections)", "{{instance}}"),),
        ),
        Panel(
            "Taken and not acknowledged",
            "Bytes in memory; at INGEST_MAX_PENDING_BYTES callbacks are refused as overload.",
            "lines",
            (PromQL("sum by (instance) (routee_ingest_pending_bytes)", "{{instance}}"),),
            "bytes",
        ),
    ),
)

_STREAMS: Final = Row(
    "Streams",
    (
        Panel(
            "Callbacks, by what became of them",
            "A second. Many duplicates or stale ones: Routee sends again.",
            "lines",
            (
                PromQL(
                    "sum by (verdict) (rate(partition_verdict:routee_streams_callbacks:max[$__rate_interval])) > 0",
                    "{{verdict}}",
                ),
            ),
            "cps",
            12,
            stacked=True,
        ),
        Panel(
            "Age of the oldest record",
            "How long it has been waiting, for each stage. The first one that is late is the one to look at.",
            "lines",
            (PromQL(_LAGS, "{{stage}}"),),
            "s",
            12,
        ),
        Panel(
            "Partitions, by worker",
            "Together they have to be KAFKA_PARTITIONS for each table.",
            "lines",
            (
                PromQL("routee_streams_partitions", "{{table}} {{instance}}"),
                PromQL("max(routee_streams_partitions_expected)", "expected"),
            ),
            width=6,
        ),
        Panel(
            "Records that wait",
            "Source records that are not durable yet.",
            "lines",
            (PromQL("sum by (table) (routee_streams_lag_records)", "{{table}}"),),
            width=6,
        ),
        Panel(
            "Time of a checkpoint",
            "99 of 100 take less.",
            "lines",
            (PromQL(_quantile(0.99, "routee_streams_flush_seconds", ", table"), "{{table}}"),),
            "s",
            6,
        ),
        Panel(
            "Parts left out, repaired or odd",
            "A second, by field or repair. Mostly future-date: the clock of an ingest is behind.",
            "lines",
            (PromQL("sum by (note) (rate(routee_streams_notes_total[$__rate_interval])) > 0", "{{note}}"),),
            "cps",
            6,
            may_be_empty="all callbacks are well-formed",
        ),
    ),
)

_SINKS: Final = Row(
    "Sinks",
    (
        Panel(
            "Rows written",
            "A second.",
            "lines",
            (PromQL("sum by (job, table) (rate(routee_sinks_rows_total[$__rate_interval])) > 0", "{{job}} {{table}}"),),
            "rowsps",
        ),
        Panel(
            "Time of a write",
            "From the moment at which a batch is due to durable rows; 99 of 100 take less.",
            "lines",
            (PromQL(_quantile(0.99, "routee_sinks_write_seconds", ", job"), "{{job}}"),),
            "s",
        ),
        Panel(
            "Tried again, not taken",
            "Writes a minute that were made again, and rows that the store does not take.",
            "lines",
            (
                PromQL(
                    "sum by (job) (rate(routee_sinks_retries_total[$__rate_interval])) * 60 > 0", "{{job}} tried again"
                ),
                PromQL(
                    "sum by (job) (rate(routee_sinks_rejected_rows_total[$__rate_interval])) * 60 > 0",
                    "{{job}} not taken",
                ),
            ),
            may_be_empty=_NO_FAULT,
        ),
    ),
)

_MACHINES: Final = Row(
    "Processes and disks",
    (
        Panel(
            "Processor time",
            "Cores that each program uses.",
            "lines",
            (
                PromQL(
                    f"sum by (job, instance) (rate(process_cpu_seconds_total{_OURS}[$__rate_interval]))",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident bytes of each program.",
            "lines",
            (
                PromQL(
                    f"sum by (job, instance) (process_resident_memory_bytes{_OURS})",
                    "{{job}} {{instance}}",
                ),
            ),
            "bytes",
        ),
        Panel(
            "Free disk",
            "Share that is free.",
            "lines",
            (PromQL("routee_disk_free_bytes / routee_disk_size_bytes", "{{store}} {{instance}}"),),
            "percentunit",
        ),
        Panel(
            "Versions",
            "What runs where. Two versions beside each other are an upgrade that is under way.",
            "table",
            (PromQL("count by (program, version, python, instance) (routee_build_info)"),),
            width=24,
            height=6,
        ),
    ),
)

OPERATIONS: Final = Dashboard(
    "operations",
    "Routee callbacks: operations",
    "Is the pipeline well? From the callbacks at ingest to the rows in the stores.",
    (_NOW, _INGEST, _STREAMS, _SINKS, _MACHINES),
    hours=3,
)
