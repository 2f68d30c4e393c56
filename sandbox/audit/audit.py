"""
The whole comparison: wait until the pipeline is quiet, then hold everything it shows against the ledger.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.audit import topics
from sandbox.audit.clickhouse import ClickHouse
from sandbox.audit.differences import (
    Difference,
    campaign_differences,
    message_differences,
    messages_of,
    newest,
    rejection_differences,
    revision_differences,
    sms_differences,
    unexplained_rejections,
    unknown_keys,
    unsure_campaigns,
)
from sandbox.audit.metrics import counter
from sandbox.emulator.oracle import Oracle

_POLL_SECONDS: Final = 0.5
_PROGRESS: Final = """
SELECT (SELECT count() FROM sms_status_history), (SELECT sum(revision) FROM sms),
       (SELECT sum(revision) FROM campaigns), (SELECT count() FROM rejected_callbacks)
FORMAT TSV"""


@dataclass(frozen=True, slots=True)
class Kafka:
    """Where the topics are."""

    bootstrap_servers: str
    prefix: str = "routee."


@dataclass(frozen=True, slots=True)
class Sources:
    """
    The ledger, and the places to compare it with.

    The metrics count from the start of their programs, so they fit only a run that had the pipeline to itself since
    then. Without them the audit leaves out the equation of all callbacks.
    """

    clickhouse: ClickHouse
    kafka: Kafka | None = None
    ingest_metrics: str | None = None
    streams_metrics: str | None = None


@dataclass(slots=True)
class Audit:
    """
    The result. It agrees when `differences` is empty; `unsure` counts things with an unanswered callback.

    `pulled` are the callbacks and reports that a backfill has stored.
    """

    sms: int = 0
    messages: int = 0
    campaigns: int = 0
    malformed: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    unsure: int = 0
    pulled: int = 0
    differences: list[Difference] = field(default_factory=list)


def audit(oracle: Oracle, sources: Sources, *, quiet_seconds: float = 10.0, deadline_seconds: float = 120.0) -> Audit:
    """
    Compare, as soon as everything agrees or the pipeline has shown no change for `quiet_seconds`.

    Waits no longer than the deadline. Raises SourceError when something does not answer.
    """
    deadline = time.monotonic() + deadline_seconds
    quiet = _Quiet(sources.clickhouse)
    while True:
        still = quiet.seconds()
        late = time.monotonic() > deadline
        if still or late:  # a comparison while rows still arrive would only delay them
            result = compare(oracle, sources)
            if not result.differences or still > quiet_seconds or late:
                return result
        time.sleep(_POLL_SECONDS)


class _Quiet:
    """Tells for how long the tables have not changed."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._seen = b""
        self._since = time.monotonic()

    def seconds(self) -> float:
        """Look, and return the seconds since the first look that saw the same; 0 when something changed."""
        seen = self._clickhouse.text(_PROGRESS)
        if seen == self._seen:
            return time.monotonic() - self._since
        self._seen, self._since = seen, time.monotonic()
        return 0.0


def compare(oracle: Oracle, sources: Sources) -> Audit:
    """Compare once, with the current tables and topics."""
    result = Audit(
        sms=len(oracle.sms),
        messages=len({sms.facts["message_id"] for sms in oracle.sms.values()}),
        campaigns=len(oracle.campaigns),
        malformed=len(oracle.malformed),
        unsure=sum(bool(sms.maybe) for sms in oracle.sms.values()) + len(unsure_campaigns(oracle)),
    )
    result.differences.extend(_in_clickhouse(oracle, sources.clickhouse))
    if sources.kafka and not result.differences:
        result.differences.extend(_in_topics(oracle, sources.kafka))
    if sources.kafka and oracle.backfilled:
        result.pulled = _pulled(sources.kafka)
    if sources.streams_metrics:
        result.verdicts = counter(sources.streams_metrics, "routee_streams_callbacks_total", "verdict")
    if sources.streams_metrics and sources.ingest_metrics:
        result.differences.extend(_unexplained(oracle, sources.clickhouse))
        result.differences.extend(_equation(oracle, result, sources.ingest_metrics))
    return result


def _in_clickhouse(oracle: Oracle, clickhouse: ClickHouse) -> Iterator[Difference]:
    for view, key, differences in (
        ("sms", "sms_key", sms_differences),
        ("messages", "message_id", message_differences),
        ("campaigns", "campaign_tracking_id", campaign_differences),
    ):
        table = _Table(clickhouse.rows(f"SELECT * FROM {view}"), key)  # noqa: S608 - our own words
        yield from table.repeated
        yield from differences(oracle, table.rows)
    yield from rejection_differences(oracle, clickhouse.rows("SELECT * FROM rejected_callbacks FINAL"))


def _unexplained(oracle: Oracle, clickhouse: ClickHouse) -> Iterator[Difference]:
    """Yield rows and rejections that come from no callback; valid only if the run had the pipeline to itself."""
    for view, key, known in (
        ("sms", "sms_key", {key for sms in oracle.sms.values() for key in sms.keys}),
        ("campaigns", "campaign_tracking_id", oracle.campaigns.keys()),
    ):
        rows = clickhouse.rows(f"SELECT {key} FROM {view}")  # noqa: S608 - our own words
        yield from unknown_keys(key, (row[key] for row in rows), known)
    yield from unexplained_rejections(oracle, clickhouse.rows("SELECT * FROM rejected_callbacks FINAL"))


class _Table:
    """Rows by their key; a key that comes twice is a difference, since each of these views has a row per key."""

    def __init__(self, rows: Iterator[dict[str, Any]], key: str) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.repeated: list[Difference] = []
        for row in rows:
            if row[key] in self.rows:
                self.repeated.append(Difference(f"{key} {row[key]}", "number of rows", "more than 1", 1))
            self.rows[row[key]] = row


def _in_topics(oracle: Oracle, kafka: Kafka) -> Iterator[Difference]:
    records = topics.Values(kafka.bootstrap_servers, f"{kafka.prefix}sms.status")
    progress = topics.Values(kafka.bootstrap_servers, f"{kafka.prefix}campaign.progress")
    yield from revision_differences(records)
    yield from sms_differences(oracle, newest(records, "sms_key", "revision"))
    yield from message_differences(oracle, messages_of(records))
    yield from campaign_differences(oracle, newest(progress, "campaign_tracking_id", "revision"))


def _pulled(kafka: Kafka) -> int:
    """Return how many callbacks and reports were stored because Routee was asked for them."""
    envelopes = topics.Values(kafka.bootstrap_servers, f"{kafka.prefix}callbacks.raw")
    return sum(len(envelope["callbacks"]) for envelope in envelopes if envelope.get("source") == "pull")


def _equation(oracle: Oracle, result: Audit, ingest_metrics: str) -> Iterator[Difference]:
    """Yield what does not add up: answered 200 = stored + refused by ingest, and stored + pulled = all verdicts."""
    stored = sum(counter(ingest_metrics, "routee_ingest_accepted_total").values())
    refused = sum(counter(ingest_metrics, "routee_ingest_rejected_total", "reason").values())
    if not oracle.accepted <= stored + refused <= oracle.accepted + oracle.uncertain:
        yield Difference("ingest", "callbacks accepted", stored + refused, oracle.accepted)
    verdicts = sum(result.verdicts.values())
    if verdicts != stored + result.pulled:
        yield Difference(
            "streams", "verdicts given", verdicts, f"{stored} callbacks were stored, {result.pulled} pulled"
        )
