"""
The tables of PRIVACY.md, made from the code: `python -m tests.support.privacy_document` writes them anew.
"""

from collections.abc import Iterator
from typing import Final

from sinks.clickhouse.retention import LIFETIMES
from sinks.settings import SinksSettings
from sinks.tables import FILE_TABLE_OF, RAW_CALLBACKS_TABLE
from streams.contract.permissions import PERMISSIONS, Kind, Operation
from streams.contract.records import PUBLIC_RECORDS
from streams.contract.topics import ALL_TOPICS, Topic, changelog
from streams.domain.policy import CAMPAIGN_DAYS
from streams.program.settings import CommonSettings
from tests.support.markdown import ROOT

DOCUMENT: Final = ROOT / "PRIVACY.md"
_DAY_MS: Final = 24 * 60 * 60 * 1000
_PREFIX: Final = CommonSettings.model_fields["kafka_topic_prefix"].default

KINDS: Final = {
    "a phone number": "recipient",
    "a text": "message",
    "bodies, whole or redacted": """
        callbacks repaired.original body body_base64 value value_base64 error
    """,
    "chosen by the customer; may name a person": """
        label groups sender campaign_name name application_name sms_key message_id sms_id campaign_tracking_id cell
        alarm subject why
    """,
    "about the message of one person": """
        country operator status previous_status is_final detailed_status status_description status_updated_at
        queued_at sent_at sending_at sent_from final_at latency_seconds price direction originating_service part parts
        conflicts first_received_at received_at message_status message_previous_status message_is_final message_parts
        message_parts_seen message_latency_seconds message_price
    """,
    "sums over a campaign, or over the SMS of a route within five minutes": """
        campaign_status strategy total_recipients messages messages_final messages_delivered messages_by_status
        parts_by_status reported_by_status progress delivery_rate price_total reconciliation reconciliation_unit drift
        stale_reports unordered_reports last_received_at finished_at
        window_start window_end delivered_by_latency price_delivered price_undelivered unpriced is_closed
        kind scope level is_open opened_at closed_at closed_because muted_until since until observed expected n
        only_sender routes judged
    """,
    "where and when a record was made": """
        revision generation message_revision source attempt rejected partition offset index
        repaired.index repaired.repairs stage reason detail redacted rejected_at sink table topic
    """,
    "an HMAC of a phone number, and the moment of its erasure": "mark at key_id",
}
"""Kind of data → the fields of the contract's records; of a kind that tells more, a field counts there."""


def fields() -> set[str]:
    """Return every field of every public record; `repaired` by its own fields."""
    names = {name for model in PUBLIC_RECORDS.values() for name in model.model_fields} - {"repaired"}
    return names | {"repaired.index", "repaired.repairs", "repaired.original"}


def rows_of_fields() -> Iterator[tuple[str, ...]]:
    """Yield a row for each kind of data: its fields, and the topics that have some of them."""
    for kind, names in KINDS.items():
        mine = names.split()
        of = [
            f"`{topic}`"
            for topic, model in PUBLIC_RECORDS.items()
            if {name.partition(".")[0] for name in mine} & model.model_fields.keys()
        ]
        yield kind, ", ".join(f"`{name}`" for name in mine), ", ".join(of)


_ROWS_KEPT: Final = {
    changelog("sms"): f"until the SMS is forgotten; counts of a campaign, {CAMPAIGN_DAYS} days after their last change",
    changelog("campaigns"): f"{CAMPAIGN_DAYS} days after the last change of the campaign",
    changelog("alarms"): "while the route is watched: 30 days after its last SMS",
    changelog("deliveries"): "until the cell is forgotten, about 16 days after the SMS were sent",
}
"""A record of a changelog goes with its row."""


def rows_of_topics() -> Iterator[tuple[str, ...]]:
    """Yield a row for each topic: how long it keeps a record, and the programs with a permission to write and read."""
    for topic in ALL_TOPICS:
        yield f"`{topic.suffix}`", kept(topic), _who(topic, Operation.WRITE), _who(topic, Operation.READ)


def kept(topic: Topic) -> str:
    """Return how long a topic keeps a record."""
    policy = topic.config["cleanup.policy"]
    if policy == "compact":
        return f"the latest per key, {_ROWS_KEPT.get(topic, 'for ever')}"
    days = int(topic.config["retention.ms"]) // _DAY_MS
    return f"{days} days" if policy == "delete" else f"the latest per key, {days} days after its last change"


def _who(topic: Topic, operation: Operation) -> str:
    programs = [
        program
        for program, of in PERMISSIONS.items()
        if any(
            permission.operation is operation
            and permission.resource.kind is Kind.TOPIC
            and permission.resource.name == topic.name(_PREFIX)
            for permission in of(_PREFIX)
        )
    ]
    return ", ".join(f"`{name}`" if name.startswith("routee-") else name for name in programs) or "none"


def rows_of_stores() -> Iterator[tuple[str, ...]]:
    """Yield a row for each table of ClickHouse, and one for each table of files."""
    for table, lifetime in LIFETIMES.items():
        days = SinksSettings.model_fields[lifetime.setting].default
        yield f"ClickHouse `{table}`", f"{days} days", f"`{lifetime.setting.upper()}`"
    days = SinksSettings.model_fields["sinks_files_retention_days"].default
    for table in FILE_TABLE_OF.values():
        if_chosen = " and `SINKS_TABLES`; off by default" if table == RAW_CALLBACKS_TABLE else ""
        yield f"files `{table}`", f"{days} days", f"`SINKS_FILES_RETENTION_DAYS`{if_chosen}"


TABLES: Final = {
    ("data", "fields", "topics"): rows_of_fields,
    ("topic", "kept", "written by", "read by"): rows_of_topics,
    ("store", "kept", "setting"): rows_of_stores,
}


def written(text: str) -> str:
    """Return the document with its tables as the code has them."""
    for header, rows in TABLES.items():
        head = f"| {' | '.join(header)} |\n|{'---|' * len(header)}\n"
        begin = text.index(head) + len(head)
        end = text.index("\n\n", begin - 1)
        text = text[:begin] + "\n".join(f"| {' | '.join(row)} |" for row in rows()) + text[end:]
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
