"""
Pure: compares the expected rows and records with the actual ones, and lists the differences.

Rows of ClickHouse and records of the topics have the same fields; the same functions compare both.
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson

from sandbox.emulator.oracle import FINALS, CampaignCounts, CampaignState, MessageState, Oracle, SmsState

Row = Mapping[str, Any]

_MISSING: Final = "missing"
_SMS_FACTS: Final = (
    "message_id",
    "sms_id",
    "campaign_tracking_id",
    "campaign_name",
    "part",
    "parts",
    "label",
    "recipient",
    "sender",
    "country",
    "operator",
    "groups",
    "application_name",
    "direction",
    "originating_service",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell that differs from the ledger; `str()` is a line for people."""

    thing: str
    field: str
    found: object
    expected: object

    def __str__(self) -> str:
        return f"{self.thing}: {self.field} is {_shown(self.found)}, the ledger says {_shown(self.expected)}"


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _MISSING if value is None else str(value)


def sms_differences(oracle: Oracle, rows: Mapping[str, Row]) -> Iterator[Difference]:
    """Yield the differences in the latest rows of SMS, by key."""
    for key, sms in oracle.sms.items():
        row = next((rows[known] for known in sms.keys if known in rows), None)
        if row is None:
            if None not in sms.possible():
                yield Difference(f"SMS {key}", "row", None, sms.state and sms.state["status"])
        elif sms.is_certain:
            yield from _cells(f"SMS {key}", row, _expected_sms(sms))
        else:
            yield from _possible_sms(key, sms, row)


def _possible_sms(key: str, sms: SmsState, row: Row) -> Iterator[Difference]:
    """Compare an SMS that has a callback without an answer: only the cells that do not depend on that callback."""
    words = {line["status"] for line in sms.possible() if line}
    if row["status"] not in words:
        yield Difference(f"SMS {key}", "status", row["status"], " or ".join(sorted(words)))
    yield from _cells(f"SMS {key}", row, {name: sms.facts[name] for name in _SMS_FACTS})


def _expected_sms(sms: SmsState) -> dict[str, object]:
    state = sms.state
    if state is None:
        return {"row": None}
    is_final = state["status"] in FINALS
    one_time_code = sms.facts["originating_service"] == "TwoStep"
    expected = {
        "status": state["status"],
        "is_final": is_final,
        "status_updated_at": _time(state["updated_at"]),
        "queued_at": _time(sms.earliest("Queued")),
        "sent_at": _time(sms.earliest("Sent")),
        "final_at": _time(state["updated_at"]) if is_final else None,
        "detailed_status": state["detailed_status"],
        "status_description": state["status_description"],
        "latency_seconds": state["latency_seconds"],
        "price": Decimal(state["price"]),
        "conflicts": max(0, sms.different_finals - 1),
        **_sending(sms, state, is_final=is_final),
        "source": "callback",
        "message": None if one_time_code else sms.facts["message"],
        **{name: sms.facts[name] for name in _SMS_FACTS},
    }
    return {name: value for name, value in expected.items() if name not in sms.open_cells}


def _sending(sms: SmsState, state: Mapping[str, Any], *, is_final: bool) -> dict[str, object]:
    """Return when an SMS was sent, and the value that tells it."""
    for status, name in (("Queued", "queued"), ("Sent", "sent")):
        if (told := sms.earliest(status)) is not None:
            return {"sending_at": _time(told), "sent_from": name}
    if is_final and state["latency_seconds"] is not None:
        sent = datetime.fromisoformat(state["updated_at"]) - timedelta(seconds=state["latency_seconds"])
        return {
            "sending_at": sent.strftime(f"%Y-%m-%dT%H:%M:%S.{sent.microsecond // 1000:03}Z"),
            "sent_from": "latency",
        }
    return {"sending_at": _time(state["updated_at"]), "sent_from": "status"}


def _time(text: str | None) -> str | None:
    return text.replace("Z", ".000Z") if text else None


def newest(records: Iterable[Row], key: str, revision: str) -> dict[str, Row]:
    """Return the record of each key with the highest (generation, revision): its newest state."""
    found: dict[str, Row] = {}
    for record in records:
        known = found.get(record[key])
        if known is None or _age(record, revision) > _age(known, revision):
            found[record[key]] = record
    return found


def _age(record: Row, revision: str) -> tuple[int, int]:
    return record["generation"], record[revision]


def messages_of(records: Iterable[Row]) -> dict[str, Row]:
    """Return the newest state of each message from records of its SMS, under the names of the view `messages`."""
    names = [name for name in MessageState.__slots__ if name not in {"message_id", "campaign_tracking_id"}]
    return {
        message: {
            "campaign_tracking_id": record["campaign_tracking_id"],
            **{name: record[f"message_{name}"] for name in names},
        }
        for message, record in newest(records, "message_id", "message_revision").items()
    }


def revision_differences(records: Iterable[Row]) -> Iterator[Difference]:
    """
    Yield SMS whose records on the topic, in the order of their revisions, have a gap or contradict each other.

    The same revision of a generation may be there more than once, always with the same content. Of a record only a hash
    is kept; where contents differ, all are read a second time.
    """
    seen: dict[tuple[str, int], dict[int, int]] = {}
    differing: dict[tuple[str, int, int], Row | None] = {}
    for record in records:
        key, generation, revision = _revision_of(record)
        content = hash(orjson.dumps(record))
        if seen.setdefault((key, generation), {}).setdefault(revision, content) != content:
            differing[key, generation, revision] = None
    for record in records if differing else ():
        place = _revision_of(record)
        if place in differing:
            known = differing[place] = differing[place] or record
            thing = f"SMS {record['sms_key']}, revision {record['revision']}"
            yield from (
                Difference(thing, name, record[name], known[name]) for name in known if known[name] != record[name]
            )
    for (key, _), revisions in seen.items():
        if max(revisions) != len(revisions):
            yield Difference(f"SMS {key}", "revisions on the topic", sorted(revisions), f"1 to {max(revisions)}")


def _revision_of(record: Row) -> tuple[str, int, int]:
    return record["sms_key"], record["generation"], record["revision"]


def message_differences(oracle: Oracle, rows: Mapping[str, Row]) -> Iterator[Difference]:
    """Yield the differences in the rows of the view `messages`, or in the states on the topic, by message id."""
    unsure = {sms.facts["message_id"] for sms in oracle.sms.values() if sms.maybe}
    for message in oracle.messages():
        if message.message_id in unsure:
            continue
        row = rows.get(message.message_id)
        if row is None:
            yield Difference(f"message {message.message_id}", "row", None, message.status)
        else:
            yield from _cells(f"message {message.message_id}", row, _expected_message(message))


def _expected_message(message: MessageState) -> dict[str, object]:
    return {name: getattr(message, name) for name in MessageState.__slots__ if name != "message_id"}


def campaign_differences(oracle: Oracle, rows: Mapping[str, Row]) -> Iterator[Difference]:
    """Yield the differences in the latest rows of campaigns, by tracking id."""
    unsure = unsure_campaigns(oracle)
    for key, counts in oracle.counts().items():
        campaign, row = oracle.campaigns[key], rows.get(key)
        if key in unsure:
            continue
        thing = f"campaign {key} ({campaign.facts['name']})"
        if row is not None:
            yield from _cells(thing, row, _expected_campaign(campaign, counts))
            yield from _report_differences(thing, row, campaign)
            yield from _reconciliation_differences(thing, row, campaign)
        elif counts.messages or campaign.newest:
            yield Difference(thing, "row", None, f"{counts.messages} messages")


def unsure_campaigns(oracle: Oracle) -> set[str]:
    """Return the campaigns that can not be checked: a callback about them was sent and never answered."""
    of_sms = {sms.facts["campaign_tracking_id"] for sms in oracle.sms.values() if sms.maybe}
    of_reports = {key for key, campaign in oracle.campaigns.items() if campaign.uncertain_reports}
    return (of_sms | of_reports) - {None}


def _expected_campaign(campaign: CampaignState, counts: CampaignCounts) -> dict[str, object]:
    total = campaign.facts["total_recipients"] if campaign.newest else None
    everything = max(total or 0, counts.messages)
    return {
        "name": campaign.facts["name"],
        "total_recipients": total,
        "strategy": campaign.facts["strategy"] if campaign.is_told else None,
        "messages": counts.messages,
        "messages_final": counts.messages_final,
        "messages_delivered": counts.messages_delivered,
        "messages_by_status": counts.messages_by_status,
        "parts": counts.parts,
        "parts_by_status": counts.parts_by_status,
        "price_total": counts.price_total,
        "progress": counts.messages_final / everything if counts.messages else None,
        "delivery_rate": counts.messages_delivered / counts.messages_final if counts.messages_final else None,
    }


def _report_differences(thing: str, row: Row, campaign: CampaignState) -> Iterator[Difference]:
    """Reports carry no time: the row must show, whole, one of the reports that may be the newest."""
    found = row["campaign_status"], _counts(row["reported_by_status"] or {})
    possible: list[object] = [(line["campaign_status"], _counts(line["counts"])) for line in campaign.newest]
    possible = possible or [(None, {})]
    if found not in possible:
        yield Difference(thing, "report", found, possible[-1])


def _reconciliation_differences(thing: str, row: Row, campaign: CampaignState) -> Iterator[Difference]:
    """The unit must follow from the reports; drift and verdict, in that unit, from the counts in the same row."""
    unit, drift = None, {}
    if not row["messages"]:
        verdict = "underived" if campaign.newest else "unreported"
    elif not campaign.newest:
        verdict = "unreported"
    elif campaign.unit is None:
        verdict = "undecided"
    else:
        unit = campaign.unit
        drift = _drift(_finals(row[f"{unit}_by_status"]), _finals(row["reported_by_status"] or {}))
        verdict = _verdict(drift)
    yield from _cells(thing, row, {"reconciliation_unit": unit, "drift": drift, "reconciliation": verdict})


def _finals(counts: Mapping[str, int]) -> Counter[str]:
    return Counter({status: counts.get(status, 0) for status in FINALS})


def _drift(derived: Counter[str], reported: Counter[str]) -> dict[str, int]:
    differences = {status: derived[status] - reported[status] for status in FINALS}
    return {status: difference for status, difference in differences.items() if difference}


def _verdict(drift: Mapping[str, int]) -> str:
    less, more = min(drift.values(), default=0) < 0, max(drift.values(), default=0) > 0
    if less and more:
        return "mixed"
    return "behind" if less else "ahead" if more else "consistent"


def rejection_differences(oracle: Oracle, rows: Iterable[Row]) -> Iterator[Difference]:
    """Yield malformed bodies that are not among the rejections, as often as they were accepted."""
    found: dict[object, list[Row]] = {}
    for row in rows:
        found.setdefault(_likeness(rejected_bytes(row)), []).append(row)
    for line in oracle.malformed:
        thing = f"malformed callback {line['number']} ({line['malformed']})"
        rows = found.get(_likeness(b64decode(line["body_base64"])), [])
        least = sum(answer.get("status") == 200 for answer in line["answers"])  # noqa: PLR2004
        if not least <= len(rows) <= len(line["answers"]):
            yield Difference(thing, "rejections", len(rows), least)
        for row in rows:
            if row["reason"] not in line["reasons"]:
                yield Difference(thing, "reason", row["reason"], " or ".join(line["reasons"]))


def unexplained_rejections(oracle: Oracle, rows: Iterable[Row]) -> Iterator[Difference]:
    """Yield rejections of bodies that were sent well-formed."""
    malformed = {_likeness(b64decode(line["body_base64"])) for line in oracle.malformed}
    for row in rows:
        if _likeness(rejected_bytes(row)) not in malformed:
            yield Difference(f"rejection at {row['stage']}", "reason", row["reason"], "no rejection")


def unknown_keys(name: str, found: Iterable[str], known: Collection[str]) -> Iterator[Difference]:
    """Yield rows whose key was in no callback."""
    for key in found:
        if key not in known:
            yield Difference(f"{name} {key}", "row", "there", None)


def rejected_bytes(row: Row) -> bytes:
    """Return the refused bytes of a rejection."""
    return row["body"].encode() if row["body"] is not None else b64decode(row["body_base64"])


def _likeness(body: bytes) -> object:
    """Return a form in which equal bodies compare equal: behind ingest, JSON may have been written anew."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # orjson reads deeper nesting than it writes
        return body


def _cells(thing: str, row: Row, expected: Mapping[str, object]) -> Iterator[Difference]:
    for name, value in expected.items():
        if name == "row":
            yield Difference(thing, "row", "there", value)
        elif not _equal(row[name], value):
            yield Difference(thing, name, row[name], value)


def _equal(found: object, expected: object) -> bool:
    if isinstance(expected, Decimal):
        return found is not None and Decimal(str(found)) == expected
    if isinstance(expected, float):
        return isinstance(found, int | float) and abs(found - expected) < 1e-6  # noqa: PLR2004 - a rate
    if isinstance(expected, dict):
        return isinstance(found, Mapping) and _counts(found) == _counts(expected)
    if isinstance(expected, bool):
        return bool(found) == expected
    return found == expected


def _counts(counts: Mapping[str, Any]) -> dict[str, int]:
    return {status: int(number) for status, number in counts.items() if int(number)}
