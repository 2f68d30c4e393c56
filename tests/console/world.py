"""
A world to look at: campaigns that run and that are over, routes with a week behind them, messages, refusals, an alarm.

All is invented and the same every time, but for the time: it ends now. It is inserted as sinks and streams would do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

Row = dict[str, Any]

ROUTES: Final = (
    ("IN", "Vodafone Idea", 0.80, 40, 0.0057),
    ("IN", "Airtel (Bharti Airtel)", 0.89, 36, 0.0060),
    ("GR", "Cosmote", 0.965, 5, 0.0360),
    ("GR", "Vodafone GR", 0.958, 6, 0.0360),
    ("DE", "Telekom", 0.967, 4, 0.0725),
    ("NG", "MTN Nigeria", 0.828, 38, 0.0400),
    ("GB", "Three", 0.918, 6, 0.0338),
    ("RS", "Yettel", 0.895, 32, 0.0300),
)
"""Country, operator, the delivered share that is usual, the median of seconds, the price of a part."""

FINISHED: Final = (
    *("Loyalty points, week 47", "Φεστιβάλ Θεσσαλονίκης", "Збогом лето", "Delivery slots London"),
    *("Terminbestätigung KW 48", "Diwali thank you", "Lagos pop-up", "<b>Sale</b> & more", "تخفيضات الشتاء"),
    *("Събота на открито", "a\u202egnp.exe", "Black Friday, early access"),
)
RUNNING: Final = (("Flash offer", 26, 900, 0), ("Spring sale", 50, 1400, 2), ("Winterfahrplan", 12, 800, 4))
"""Name, minutes since it began, messages, first route."""

BOUNDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 43200, 86400)
NUMBER: Final = "+919461717071"
_REASONS: Final = (
    ("Undelivered", "DND Error Code", "Active Do Not Disturb Service."),
    ("Undelivered", "Undelivered on Handset", "The handset refused the SMS."),
    ("Undelivered", "Unknown Number", "The number is not in service."),
    ("Failed", "Failed", "The SMS could not be processed."),
)
PROGRAMS: Final = {
    "ingest": """
routee_ingest_accepted_total 1204118
routee_ingest_answer_seconds_bucket{le="0.01"} 1190000
routee_ingest_answer_seconds_bucket{le="0.02"} 1203900
routee_ingest_answer_seconds_bucket{le="+Inf"} 1204118
""",
    "streams": """
routee_streams_lag_seconds{table="sms",partition="0"} 0.4
routee_streams_partitions{table="sms"} 8
routee_streams_partitions_expected 8
""",
    "sinks-clickhouse": 'routee_sinks_lag_seconds{topic="routee.sms.status",partition="0"} 0.8\n',
    "sinks-files": 'routee_sinks_lag_seconds{topic="routee.sms.status",partition="0"} 211\n',
    "backfill": "routee_backfill_unsettled 17\nroutee_backfill_gone 0\n",
}
"""What the other programs tell of themselves."""


@dataclass(frozen=True)
class World:
    """Everything, as rows of the inboxes and records of the topics."""

    cells: list[Row]
    sms: list[Row]
    campaigns: list[Row]
    rejections: list[Row]
    alarms: list[Row]
    envelope: Row
    """The callback that each change names as its own: the only one in Kafka."""
    running: list[Row]
    """The newest states of the campaigns that run."""


def time_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def world(now: datetime | None = None) -> World:
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    random = Random(7)  # noqa: S311 - the same world every time
    sms: list[Row] = []
    campaigns: list[Row] = []
    running = []
    for name, minutes, messages, first in RUNNING:
        rows, states = _campaign(random, name, now - timedelta(minutes=minutes), now, messages, first)
        sms += rows
        campaigns += states
        running.append(states[-1])
    campaigns += [_finished(random, name, now - timedelta(hours=2 + 5 * place)) for place, name in enumerate(FINISHED)]
    return World(
        [*_cells(random, now)], sms, campaigns, [*_rejections(random, now)], [_alarm(now)], _envelope(sms), running
    )


def _latency(random: Random, median: float) -> float:
    return max(1.0, median * math.exp(random.gauss(0, 0.7)))


def _campaign(  # noqa: PLR0917 - the details of a campaign
    random: Random, name: str, began: datetime, now: datetime, messages: int, first: int
) -> tuple[list[Row], list[Row]]:
    """Return the changes of a campaign's SMS, and its states: it sends for a third of its time, or until now."""
    key, sent_for = uuid(random), (now - began).total_seconds() * (0.6 if first == 0 else 1.3)
    only_finals = first == 4
    changes: list[tuple[datetime, Row]] = []
    for number in range(messages):
        country, operator, usual, median, price = ROUTES[(first + number % 3) % len(ROUTES)]
        at = began + timedelta(seconds=sent_for * number / messages)
        if at > now:
            break
        is_slow = operator == "Vodafone Idea" and at > now - timedelta(minutes=16)
        final_at = at + timedelta(seconds=_latency(random, median * (9 if is_slow else 1)))
        is_delivered = random.random() < usual - (0.25 if is_slow else 0)
        status, reason, words = (
            ("Delivered", "Delivered", "The SMS was delivered.") if is_delivered else random.choice(_REASONS)
        )
        recipient = NUMBER if number == 5 else f"+91{random.randint(7_000_000_000, 9_999_999_999)}"
        for part in range(1, (3 if number % 9 == 5 else 2)):
            ids = (
                {"message_id": uuid(random), "sms_key": uuid(random)}
                if part == 1
                else {"message_id": changes[-1][1]["message_id"], "sms_key": uuid(random)}
            )
            base = _sms(ids, key, name, part, 2 if number % 9 == 5 else 1, recipient, country, operator, price, at)
            steps: list[tuple[datetime, str, str | None, str | None]] = [(final_at, status, reason, words)]
            if not only_finals:
                steps = [(at, "Queued", None, None), (at + timedelta(seconds=1), "Sent", None, None), *steps]
            before = None
            for revision, (moment, word, detail, sentence) in enumerate(steps, 1):
                if moment > now:
                    break
                changes.append((moment, _change(base, revision, moment, word, before, detail, sentence, at, median)))
                before = word
    changes.sort(key=lambda one: one[0])
    strategy = "OnCompletion" if only_finals else "OnChange"
    return [row for _, row in changes], [*_states(key, name, strategy, began, messages, [row for _, row in changes])]


def _sms(  # noqa: PLR0917 - the details of an SMS
    ids: Row,
    key: str,
    name: str,
    part: int,
    parts: int,
    to: str,
    country: str,
    operator: str,
    price: float,
    at: datetime,
) -> Row:
    return ids | {
        "sms_id": ids["sms_key"],
        "campaign_tracking_id": key,
        "campaign_name": name,
        "part": part,
        "parts": parts,
        "label": "flash" if name == "Flash offer" else None,
        "recipient": to,
        "sender": "Outlet",
        "country": country,
        "operator": operator,
        "groups": [],
        "price": f"{price:.8f}",
        "application_name": "web-shop",
        "direction": "Outbound",
        "originating_service": "Sms",
        "message": "Today only: 20 % off",
        "conflicts": 0,
        "first_received_at": time_text(at),
        "partition": 0,
        "offset": 0,
        "index": 0,
        "generation": 0,
        "queued_at": None,
        "sent_at": None,
        "sending_at": time_text(at),
        "sent_from": "queued",
        "message_parts": parts,
    }


def _change(  # noqa: PLR0917 - the details of a change
    base: Row, revision: int, moment: datetime, word: str, before: str | None, detail: str | None, sentence: str | None,
    at: datetime, median: float,
) -> Row:  # fmt: skip
    is_final = word not in {"Queued", "Sent"}
    return base | {
        "status": word,
        "previous_status": before,
        "is_final": is_final,
        "detailed_status": detail,
        "status_description": sentence,
        "status_updated_at": time_text(moment),
        "received_at": time_text(moment + timedelta(milliseconds=400)),
        "revision": revision,
        "queued_at": time_text(at) if median else None,
        "sent_at": time_text(at + timedelta(seconds=1)) if word != "Queued" else None,
        "final_at": time_text(moment) if is_final else None,
        "latency_seconds": round((moment - at).total_seconds()) if is_final else None,
        "message_status": word,
        "message_previous_status": before,
        "message_is_final": is_final,
        "message_parts_seen": base["part"],
        "message_revision": revision + 3 * (base["part"] - 1),
        "message_price": base["price"],
    }


def _states(  # noqa: PLR0917 - the details of a campaign
    key: str, name: str, strategy: str, began: datetime, total: int, changes: list[Row]
) -> Iterator[Row]:
    """Yield a campaign's states: one in every few changes, with a report at each fifth."""
    status_of: dict[str, str] = {}
    told = None
    cost = 0.0
    step = max(1, len(changes) // 150)
    reported_at = 0.2
    for number, change in enumerate(changes, 1):
        cost += float(change["price"]) if change["revision"] == 1 else 0.0
        status_of[change["message_id"]] = change["status"]
        counts: dict[str, int] = {}
        if number % step and number != len(changes):
            continue
        for word in status_of.values():
            counts[word] = counts.get(word, 0) + 1
        final = sum(count for word, count in counts.items() if word not in {"Queued", "Sent"})
        if final / total >= reported_at:
            told, reported_at = {**counts}, reported_at + 0.2
        yield {
            "campaign_tracking_id": key,
            "name": name,
            "campaign_status": "Running",
            "strategy": strategy,
            "total_recipients": total,
            "messages": len(status_of),
            "messages_final": final,
            "parts": len(status_of),
            "messages_delivered": counts.get("Delivered", 0),
            "messages_by_status": counts,
            "parts_by_status": counts,
            "reported_by_status": told,
            "progress": final / total,
            "price_total": f"{cost:.8f}",
            "drift": {},
            "delivery_rate": counts.get("Delivered", 0) / final if final else None,
            "reconciliation_unit": "messages",
            "reconciliation": "ahead" if told else "unreported",
            "is_final": False,
            "conflicts": 0,
            "stale_reports": 0,
            "first_received_at": time_text(began),
            "last_received_at": change["received_at"],
            "finished_at": None,
            "revision": number,
            "unordered_reports": 0,
            "generation": 0,
        }


def _finished(random: Random, name: str, at: datetime) -> Row:
    total = random.randint(900, 40_000)
    counts = {
        "Undelivered": int(total * random.uniform(0.01, 0.08)),
        "Failed": int(total * random.uniform(0.002, 0.03)),
    }
    counts["Unsent"] = int(total * random.uniform(0, 0.004))
    counts["Delivered"] = total - sum(counts.values())
    differs = random.random() < 0.2
    return {
        "campaign_tracking_id": uuid(random),
        "name": name,
        "campaign_status": "Finished",
        "strategy": "OnChange",
        "total_recipients": total,
        "messages": total,
        "messages_final": total,
        "parts": total,
        "progress": 1.0,
        "messages_delivered": counts["Delivered"],
        "messages_by_status": counts,
        "parts_by_status": counts,
        "reported_by_status": counts,
        "price_total": f"{total * 0.04:.8f}",
        "delivery_rate": counts["Delivered"] / total,
        "reconciliation": "mixed" if differs else "consistent",
        "reconciliation_unit": "messages",
        "is_final": True,
        "drift": {"Delivered": 1, "Undelivered": -1} if differs else {},
        "conflicts": int(differs),
        "stale_reports": 0,
        "first_received_at": time_text(at - timedelta(minutes=40)),
        "last_received_at": time_text(at),
        "finished_at": time_text(at),
        "revision": total,
        "unordered_reports": 0,
        "generation": 0,
    }


def _cells(random: Random, now: datetime) -> Iterator[Row]:
    """Yield a week of cells: each quarter of an hour, and each window of the last two hours."""
    window = timedelta(minutes=5)
    last = now.replace(minute=now.minute - now.minute % 5, second=0)
    starts = [last - window * place for place in range(24)] + [last - window * place for place in range(24, 7 * 288, 3)]
    for start in starts:
        for country, operator, usual, median, price in ROUTES:
            is_bad = operator == "Vodafone Idea" and start > now - timedelta(minutes=20)
            count = random.randint(40, 90)
            share = (0.41 if is_bad else usual) + random.gauss(0, 0.015)
            age = max(0.0, (now - start - window).total_seconds())
            latencies = [_latency(random, median * (3 if is_bad else 1)) for _ in range(int(count * min(share, 1)))]
            within = [0] * len(BOUNDS)
            for latency in (one for one in latencies if one <= age + 150):
                within[next((index for index, bound in enumerate(BOUNDS) if latency <= bound), -1)] += 1
            delivered = sum(within)
            lost = int((count - len(latencies)) * min(1.0, age / 300))
            counts = {"Delivered": delivered, "Undelivered": lost, "Sent": count - delivered - lost}
            yield {
                "cell": f'{int(start.timestamp()) // 300}:["{country}","{operator}","Outlet","web-shop","Sms",null]',
                "window_start": time_text(start),
                "window_end": time_text(start + window),
                "country": country,
                "operator": operator,
                "sender": "Outlet",
                "application_name": "web-shop",
                "originating_service": "Sms",
                "label": None,
                "messages": count,
                "messages_by_status": counts,
                "parts": count,
                "parts_by_status": counts,
                "conflicts": 0,
                "delivered_by_latency": {
                    str(bound): number for bound, number in zip(BOUNDS, within, strict=True) if number
                },
                "price_total": f"{count * price:.8f}",
                "price_delivered": f"{delivered * price:.8f}",
                "price_undelivered": f"{lost * price:.8f}",
                "unpriced": 0,
                "is_closed": False,
                "revision": 1,
                "generation": 0,
            }


def _rejections(random: Random, now: datetime) -> Iterator[Row]:
    kinds = (
        (
            "ingest",
            "not-json",
            "line 1, column 212: the body ends within a text",
            '{"messageId": "5b1c9f0a-7c1e", "to": "+3069',
        ),
        (
            "streams",
            "unknown-shape",
            "inbound SMS",
            '{"messageId":"1","from":"+306912345678","message":"STOP","direction":"Inbound"}',
        ),
        (
            "streams",
            "invalid-field",
            "parts: 0 is less than 1",
            '{"messageId": "1", "part": 1, "parts": 0, "to": "+919461717071"}',
        ),
    )
    for number in range(120):
        stage, reason, detail, body = random.choice(kinds)
        at = now - timedelta(seconds=random.expovariate(1 / 20_000))
        yield {
            "received_at": time_text(at),
            "stage": stage,
            "reason": reason,
            "detail": detail,
            "body": body,
            "body_base64": None,
            "partition": None,
            "offset": None,
            "index": None,
            "redacted": False,
            "topic_partition": 0,
            "topic_offset": number,
        }


def _envelope(sms: list[Row]) -> Row:
    """Return the envelope with the callback of the final status of the message to NUMBER."""
    row = next(one for one in sms if one["recipient"] == NUMBER and one["part"] == 1 and one["is_final"])
    callback = {
        "messageId": row["message_id"],
        "smsId": row["sms_id"],
        "campaignTrackingId": row["campaign_tracking_id"],
        "part": 1,
        "parts": row["parts"],
        "label": row["label"],
        "to": NUMBER,
        "from": row["sender"],
        "country": row["country"],
        "operator": row["operator"],
        "groups": ["vip"],
        "campaignName": row["campaign_name"],
        "status": {
            "name": row["status"],
            "reason": {"detailedStatus": row["detailed_status"], "description": row["status_description"]},
            "updatedDate": row["status_updated_at"],
        },
        "message": row["message"],
        "latency": row["latency_seconds"],
        "price": float(row["price"]),
        "direction": "Outbound",
    }
    return {"received_at": row["received_at"], "callbacks": [callback]}


def _alarm(now: datetime) -> Row:
    at = time_text(now - timedelta(minutes=9))
    return {
        "alarm": 'delivery-drop:["IN","Vodafone Idea"]',
        "kind": "delivery-drop",
        "subject": '["IN","Vodafone Idea"]',
        "scope": "route",
        "country": "IN",
        "operator": "Vodafone Idea",
        "sender": None,
        "level": "alarm",
        "is_open": True,
        "opened_at": at,
        "closed_at": None,
        "closed_because": None,
        "since": at,
        "observed": 0.41,
        "expected": 0.80,
        "n": 1940,
        "only_sender": False,
        "routes": [],
        "judged": {},
        "revision": 1,
        "generation": 0,
        "why": "Vodafone Idea (IN): 41 % of 1,940 SMS were delivered within 300 s, 80 % are usual; the other senders "
        "show it, too (40 % of 620, 79 % usual)",
    }
