"""
The words for each column of the tables and views: what its values mean, and over what a rate is taken.

A column that is a field of the contract's records has the words of the field there. The others have theirs here.
"""

from collections.abc import Mapping
from typing import Final

from streams.contract.records import CampaignProgress, DeliveryAlarm, DeliveryWindow, Record, Rejection, SmsStatus

_OF_MESSAGES: Final = ("message_status", "messages", "missing_parts", "sms_inbox_to_messages")
_RECORDS: Final[Mapping[type[Record], tuple[str, ...]]] = {
    SmsStatus: (
        *("sms", *_OF_MESSAGES, "stuck_messages", "failure_reasons", "conflicting_finals"),
        *("campaign_by_operator", "campaign_curve", "cost_by_campaign", "strategy_by_application"),
        *("lost_callbacks", "backfill_deadline"),
    ),
    CampaignProgress: (
        "campaigns",
        "campaign_history",
        "campaign_progress",
        "campaign_inbox",
        "campaign_reconciliation",
    ),
    Rejection: ("rejected_callbacks", "rejections"),
    # Before the cells, whose names begin likewise.
    DeliveryAlarm: ("delivery_alarms", "alarm"),
    DeliveryWindow: ("delivery_", "sla_", "latency_by", "cost_by"),
}
"""Record → how the names of the tables and views that have its fields begin."""

_BOUNDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14_400, 43_200, 86_400)
_SHARES: Final = (10, 30, 60, 120, 300, 900, 3600)

_WORDS: Final[Mapping[str, str]] = {
    "day": "the day in the zone of CLICKHOUSE_TIME_ZONE, of sending unless the view says otherwise",
    "hour": "the moment at which the hour begins, in the zone of CLICKHOUSE_TIME_ZONE",
    "month": "first day of the month of sending in the zone of CLICKHOUSE_TIME_ZONE",
    "sms": "SMS (parts of messages), as they are billed",
    "final": "of sms, those with a final status: Delivered, Undelivered, Failed or Unsent",
    "delivered": "of sms, how many are Delivered",
    "undelivered": "of sms, how many are Undelivered",
    "failed": "of sms, how many are Failed",
    "unsent": "of sms, how many are Unsent",
    "delivered_per_final": "delivered / final: of the SMS whose fate is known; null without any",
    "delivered_per_accepted": "delivered / sms: of all that Routee accepted; rises while finals come in",
    "timed": "of delivered, those with a latency",
    "within": "of timed, those within each bound of the histogram, in seconds: "
    + ", ".join(map(str, _BOUNDS))
    + ", any",
    **{f"within_{bound}s": f"of timed, those delivered within {bound} seconds of sending" for bound in _SHARES},
    **{f"within_{bound}s_per_timed": f"within_{bound}s / timed; null without any" for bound in _SHARES},
    **{
        f"p{percent}": f"seconds: the least bound of the histogram that {percent} % of timed keep; null beyond a day"
        for percent in (50, 90, 99)
    },
    **{
        f"latency_{bound}": f"delivered parts with a latency of at most {bound} seconds and over the bound before"
        for bound in _BOUNDS
    },
    "latency_more": f"delivered parts with a latency over {_BOUNDS[-1]} seconds",
    "messages_final": "of messages, those with a final status",
    "messages_delivered": "of messages, how many are delivered",
    "unpriced": "of sms, those without a price: price_total leaves them out",
    "price_total": "sum of the prices of sms",
    "price_delivered": "sum of the prices of delivered",
    "price_wasted": "sum of the prices of final SMS that were not delivered",
    "price_per_delivered": "price_total / delivered; null without any",
    "conflicts": "how often a different final status came after a final one",
    "conflicting_sms": "of sms, those with a conflict",
    "conflicting_per_sms": "conflicting_sms / sms",
    "started_at": "when the first SMS of the campaign was sent",
    "minutes": "after started_at",
    "sent": "of sms, those sent until then",
    "sent_per_sms": "sent / sms",
    "delivered_per_sms": "delivered / sms",
    "staged": "of sms, those of which a status before the final one was seen, as with OnChange",
    "only_final": "of sms, those of which the final status came first, as with OnCompletion",
    "staged_per_sms": "staged / sms",
    "strategy": "OnChange when staged_per_sms is 0.95 or more, OnCompletion when it is 0.05 or less, else mixed",
    "age_seconds": "since the first thing known of it",
    "healed": "of sms, how many have their latest status because Routee was asked for it",
    "still_missing": "of sms, those not final an hour after their last callback, and parts that were never heard of",
    "both_stages": "Delivered and Undelivered SMS of which both Queued and Sent came",
    "one_stage": "Delivered and Undelivered SMS of which only one of Queued and Sent came",
    "loss_estimate": "the share of the callbacks of OnChange that never came, as both_stages and one_stage tell it: "
    "one_stage / (one_stage + 2 both_stages), null without both_stages. One outage that took both is not in it",
    "is_gone": "whether Routee has stopped telling them",
    "deadline": "when Routee stops telling the first of them: 7 days after its first callback",
    "seconds_left": "until the deadline, 0 after it",
    "missing": "the numbers of the parts that were never heard of",
    "topic_partition": "where the rejection lies in the rejected topic",
    "topic_offset": "offset of the rejection there",
    "is_in_raw": "whether the callback lies in the raw topic; for the sort key, as the origin_ columns",
    "origin_partition": "partition of the callback in the raw topic, else of the rejection",
    "origin_offset": "offset of the callback in the raw topic, else of the rejection",
    "origin_index": "place of the callback in its envelope; -1 without one",
    "is_superseded": "a former life: another row of the key is newer",
    "life": "the generation, for the sort key",
    "version": "generation and revision as one number: the row with the highest stays",
    "key_hash": "sipHash128(sms_key)",
}
"""Column → its words, wherever it is no field of a record."""

_OWN: Final[Mapping[tuple[str, str], str]] = {
    **{
        (name, "campaign_tracking_id"): "Routee's id of the campaign; SMS of no campaign are in no row of this view"
        for name in ("campaign_by_operator", "campaign_curve", "cost_by_campaign")
    },
    ("delivery_by_final_hour", "day"): "the day of the final status in the zone of CLICKHOUSE_TIME_ZONE",
    (
        "delivery_by_final_hour",
        "hour",
    ): "beginning of the hour of the final status, in the zone of CLICKHOUSE_TIME_ZONE",
    ("failure_reasons", "sms"): "final SMS (parts of messages) that ended for this reason",
    ("campaign_curve", "delivered"): "of sms, those delivered until then",
    ("message_status", "status"): "of the whole message; empty while only records of 0.1.0 came, which do not tell it",
    ("messages", "status"): "of the whole message: that of its least advanced part, and the worst when all are final",
    ("message_status", "first_received_at"): "of the SMS that changed last",
    ("messages", "first_received_at"): "of the SMS that changed last",
    ("backfill_deadline", "day"): "the day of the first callback in the zone of CLICKHOUSE_TIME_ZONE",
    ("backfill_deadline", "messages"): "those not final, or without all parts, an hour after their last callback",
    ("backfill_deadline", "price_total"): "sum of the prices of their SMS, as far as they are known",
    ("schema_migrations", "version"): "number of the file",
    ("schema_migrations", "name"): "name of the file",
    ("schema_migrations", "checksum"): "SHA-256 of the file",
    ("schema_migrations", "applied_at"): "when it was applied",
}
"""Columns that mean another thing in one table or view."""


def words_of(name: str, column: str) -> str | None:
    """Return the words for a column of a table or view of the schema; None for one that is not of it."""
    if own := _OWN.get((name, column)):
        return own
    record = next((record for record, names in _RECORDS.items() if name.startswith(names)), None)
    fields = record.model_fields if record else {}
    of_message = fields.get(f"message_{column}") if name in _OF_MESSAGES else None
    field = of_message or fields.get(column)
    return field.description if field else _WORDS.get(column)
