"""
The callbacks of the golden data: every status and every form of a stored row, of persons that do not exist.

Each partition has its own part: in LEAPING time leaps and messages are forgotten, GENERAL has the single cases,
UNDATED no date at all, LARGE an envelope of many pieces.
"""

from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Any, Final

import orjson
from aiokafka.partitioner import murmur2

from tests.builders import ABSENT, campaign_report, sms_callback, without_absent
from tests.support.golden.product import format_time_ms, partition_of

PARTITIONS: Final = 4
LEAPING, GENERAL, UNDATED, LARGE = range(PARTITIONS)

Record = tuple[int, bytes]
"""Partition and value of one record of callbacks.raw."""

_BEGIN_MS: Final = 1_793_491_200_000
"""2026-11-01; all times are hours from then."""

RETENTION_HOURS: Final = 96
"""The retention that each set is written with, the default of 0.1.0. Unfinished messages stay four times as long."""

LEAP: Final = 480.0
"""Twenty days: more than an unfinished message is waited for."""


def at(hours: float) -> str:
    """Return a moment as text."""
    return format_time_ms(_BEGIN_MS + round(hours * 3_600_000))


@cache
def named(name: str, partition: int) -> str:
    """Return an id that begins so and lies in this partition."""
    return next(found for n in count() if partition_of(found := f"{name}-{n}", PARTITIONS) == partition)


def _shard(campaign: str) -> int:
    """Return the partition of a campaign's partial counts: both campaigns of the large envelope share their records."""
    return int(murmur2(campaign.encode()) & 0x7FFFFFFF) % PARTITIONS


def raw(partition: int, hours: float, *callbacks: dict[str, Any]) -> Record:
    """Return an envelope received at this time; AssertionError when a callback lies in another partition."""
    for callback in callbacks:
        key = str(callback.get("messageId") or callback.get("trackingId"))
        assert partition_of(key, PARTITIONS) == partition, key
    return partition, orjson.dumps({"received_at": at(hours), "callbacks": callbacks})


def plain(message_id: str, status: str, hours: float | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a callback with as few fields as there can be, and no date without `hours`."""
    date = ABSENT if hours is None else at(hours)
    return {"messageId": message_id, "status": without_absent({"name": status, "updatedDate": date}), **fields}


def full(message_id: str, status: str, hours: float, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a callback with all fields."""
    sms = {"sms_id": f"{message_id}-sms", "campaign": MAIN}
    return sms_callback(status, at(hours), message_id=message_id, **{**sms, **fields})


MAIN: Final = named("main", GENERAL)
"""A campaign with messages in all partitions, and reports."""
ENDED: Final = named("ended", UNDATED)
"""A campaign that a report ended."""
COUNTED: Final = named("counted", GENERAL)
"""A campaign that ends when all of its recipients have a final status."""
REPORTED: Final = named("reported", LEAPING)
"""A campaign of which only reports came."""
WORDS: Final = named("words", GENERAL)
"""A campaign with more unknown status words than are kept apart."""
LARGE_CAMPAIGN: Final = named("large", LARGE)
"""The campaign of the large envelope."""
BRIEF: Final = next(
    found
    for n in count()
    if partition_of(found := f"brief-{n}", PARTITIONS) == LARGE and _shard(found) == _shard(LARGE_CAMPAIGN)
)
"""A campaign that only the first two pieces change: only the mark that it is held back brings its last change out."""

OLD: Final = named("old", LEAPING)
OLD_QUEUED: Final = named("old-queued", LEAPING)
FULL: Final = named("full", GENERAL)
MINIMAL: Final = named("Minimal", GENERAL)
MULTI: Final = named("multi", GENERAL)
NAMELESS: Final = named("nameless", GENERAL)
CONFLICT: Final = named("conflict", GENERAL)
STAMPED: Final = named("stamped", GENERAL)
SINCE: Final = named("since", GENERAL)
TWIN: Final = named("twin", GENERAL)
FUTURE: Final = named("future", GENERAL)
"""A message whose status is dated two days after its receipt: 0.1.0 left the date out, later versions keep it."""
COUNTED_MESSAGES: Final = (named("counted-a", GENERAL), named("counted-b", GENERAL))
UNDATED_MESSAGES: Final = tuple(named(f"undated-{n}", UNDATED) for n in range(4))
LARGE_MESSAGES: Final = tuple(named(f"l{n}", LARGE) for n in range(40))
MANY: Final = tuple(named(f"m{n}", LEAPING) for n in range(104))


def before() -> Iterator[Record]:
    """Yield what comes first: the state of it is made anew, as after the loss of a changelog, with what follows."""
    yield raw(LEAPING, 0, full(OLD, "Delivered", 0), full(OLD_QUEUED, "Queued", 0))
    yield raw(GENERAL, LEAP, campaign_report("Queued", {"Queued": 9}, campaign=MAIN, total=60))
    yield raw(GENERAL, LEAP, full(FULL, "Queued", LEAP))
    yield raw(UNDATED, LEAP, plain(UNDATED_MESSAGES[0], "Queued", campaignTrackingId=MAIN))


def all_forms() -> Iterator[Record]:
    """Yield a callback for every form of a row."""
    yield from _leaping()
    yield from _lives()
    yield from _forms()
    yield from _undated()
    yield from _reports()
    yield from _refused()


def _leaping() -> Iterator[Record]:
    yield raw(LEAPING, LEAP, full(named("leap", LEAPING), "Sent", LEAP))
    yield raw(LEAPING, LEAP + 0.01, *(plain(name, "Queued", LEAP) for name in MANY))
    yield raw(LEAPING, LEAP + 0.02, plain(MANY[0], "Delivered", LEAP + 0.02, campaignTrackingId=MAIN))


def _lives() -> Iterator[Record]:
    """Messages of which several callbacks come."""
    reason = {"detailedStatus": "DELIVERED", "description": "Παραδόθηκε στο κινητό"}
    yield raw(GENERAL, LEAP + 0.1, full(FULL, "Sent", LEAP + 0.1))
    yield raw(GENERAL, LEAP + 0.2, full(FULL, "Delivered", LEAP + 0.2, reason=reason), plain(MINIMAL, "Queued", LEAP))
    yield raw(GENERAL, LEAP + 0.2, full(FULL, "Delivered", LEAP + 0.2, reason=reason))
    yield raw(GENERAL, LEAP + 0.2, plain(MINIMAL.upper(), "Sent", LEAP + 0.2))
    parts = [
        full(MULTI, "Delivered", LEAP + 0.2, sms_id=f"{MULTI}-sms-1", part=1, parts=3),
        full(MULTI, "Sent", LEAP + 0.2, sms_id=f"{MULTI}-sms-2", part=2, parts=3),
    ]
    yield raw(GENERAL, LEAP + 0.2, *parts)
    nameless = [plain(NAMELESS, "Sent", LEAP + 0.2, part=part, parts=2) for part in (1, 2)]
    yield raw(GENERAL, LEAP + 0.3, *nameless, plain(NAMELESS, "Delivered", LEAP + 0.3, part=2, parts=2))
    finals = ("Delivered", "Undelivered", "Failed", "Unsent", "Delivered")
    changes = [full(CONFLICT, status, LEAP + n / 100, part=1) for n, status in enumerate(finals)]
    yield raw(GENERAL, LEAP + 0.3, *changes, changes[0])
    late = [
        full(STAMPED, "Delivered", LEAP + 0.3, operator=ABSENT, label=ABSENT, groups=ABSENT),
        full(STAMPED, "Sent", LEAP + 0.2, operator="Cosmote", label=ABSENT, price=0.05),
        full(STAMPED, "Queued", LEAP + 0.1, label="summer", groups=["vip", "früh"]),
    ]
    yield raw(GENERAL, LEAP + 0.4, *late)
    yield raw(GENERAL, LEAP + 0.4, plain(SINCE, "Sent", smsId=f"{SINCE}-sms"), plain(SINCE, "Buffered"))
    yield raw(GENERAL, LEAP + 0.4, plain(TWIN, "Sent", LEAP, smsId=f"{FULL}-sms"))
    moved = named("moved", GENERAL)
    yield raw(GENERAL, LEAP + 0.4, full(moved, "Queued", LEAP, campaign=WORDS), full(moved, "Sent", LEAP + 0.1))
    yield raw(GENERAL, LEAP + 0.4, campaign_report("Sent", {}, campaign=COUNTED, total=2, name=None))
    yield raw(
        GENERAL, LEAP + 0.4, *(plain(name, "Sent", LEAP, **_counted(n)) for n, name in enumerate(COUNTED_MESSAGES))
    )
    yield raw(
        GENERAL,
        LEAP + 0.5,
        *(plain(name, "Delivered", LEAP + 0.5, **_counted(n)) for n, name in enumerate(COUNTED_MESSAGES)),
    )


def _counted(number: int) -> dict[str, Any]:
    names = ("Autumn", "Herbst")
    return {"campaignTrackingId": COUNTED if number else COUNTED.upper(), "campaignName": names[number], "price": 0.1}


def _forms() -> Iterator[Record]:
    """Messages of one callback each, for the form of a field."""
    fields: dict[str, dict[str, Any]] = {
        "texts": {"part": "1", "parts": 1.0, "groups": "vip", "label": 5, "to": 306900000002, "from": 12.5},
        "numbers": {"latency": "3.5", "price": "0.0432", "campaign": ABSENT},
        "whole": {"latency": 7, "price": 1, "parts": "", "part": None},
        "dear": {"price": "9999999999.99999999"},
        "refunded": {"price": -0.5, "latency": -1.25},
        "free": {"price": 0, "latency": 0, "message": ""},
        "greek": {"message": 'Καλημέρα "κόσμε"\n\\ \u2028 🌻', "from": "Κατάστημα", "to": "+306900000003"},
        "secret": {"originatingService": "TwoStep", "message": "1234"},
        "longer": {"label": "x" * 300, "operator": {"no": "text"}, "groups": [["no"], "yes"], "latency": "soon"},
        "anonymous": {"sms_id": ABSENT, "part": ABSENT, "parts": ABSENT, "campaign": ABSENT},
        "failed": {"status": "Failed", "reason": {"detailedStatus": "EC_31", "description": "No route"}},
        "unsent": {"status": "Unsent", "reason": "in words"},
        "undelivered": {"status": "UNDELIVERED"},
        "lasting": {"status": "Sent", "to": "+306900000004"},
    }
    for name, differing in fields.items():
        message_id = named(name, GENERAL)
        sms = {"status": "Delivered", "sms_id": f"{message_id}-sms", "campaign": MAIN, **differing}
        yield raw(GENERAL, LEAP + 0.5, sms_callback(at=at(LEAP + 0.4), message_id=message_id, **sms))
    seconds = (_BEGIN_MS + LEAP * 3_600_000) / 1000
    dates = {"epoch": seconds, "epoch-ms": str(int(seconds * 1000))}
    bodies = [
        {"messageId": named(name, GENERAL), "status": {"name": "Sent", "updatedDate": date}}
        for name, date in dates.items()
    ]
    yield raw(GENERAL, LEAP + 0.5, *bodies, plain(FUTURE, "Sent", LEAP + 48))
    words = [
        plain(named(f"w{n}", GENERAL), f"Held by {n}", LEAP, campaignTrackingId=WORDS, price=0.01) for n in range(18)
    ]
    yield raw(GENERAL, LEAP + 0.5, *words)


def _undated() -> Iterator[Record]:
    for hours, status in ((LEAP + 0.5, "Sent"), (LEAP + 0.7, "Delivered")):
        named_sms = plain(UNDATED_MESSAGES[1], status, smsId="undated-sms", campaignTrackingId=MAIN, price="0.25")
        yield raw(UNDATED, hours, named_sms, plain(UNDATED_MESSAGES[2], "Queued"))
    yield raw(UNDATED, LEAP + 0.8, plain(UNDATED_MESSAGES[3], "Unheard of"))


def _reports() -> Iterator[Record]:
    yield raw(GENERAL, LEAP + 0.6, campaign_report("Running", {"Queued": 5, "delivered": 3}, campaign=MAIN, total=60))
    yield raw(GENERAL, LEAP + 0.6, campaign_report("Queued", {"Queued": 9}, campaign=MAIN, total=60))
    beside = campaign_report("Running", campaign=MAIN.upper(), name=ABSENT, total="60", Delivered=4, Failed="1")
    yield raw(GENERAL, LEAP + 0.6, beside)
    yield raw(UNDATED, LEAP + 0.6, campaign_report("Finished", {"Delivered": 1}, campaign=ENDED, total=1))
    yield raw(LEAPING, LEAP + 0.6, campaign_report("Paused", {"Held": 2}, campaign=REPORTED, total="many"))


def _refused() -> Iterator[Record]:
    yield raw(LEAPING, LEAP + 0.6, plain(named("expired", LEAPING), "Delivered", 1))
    unreadable: list[dict[str, Any]] = [
        {"messageId": named("no-name", GENERAL), "status": {}},
        {"messageId": named("no-date", GENERAL), "status": {"name": "Sent", "updatedDate": "yesterday"}},
        {"messageId": named("voice", GENERAL), "status": {"name": "Sent"}, "duration": 3},
    ]
    yield raw(GENERAL, LEAP + 0.6, *unreadable)
    yield UNDATED, b"no envelope \xff"


def held_back() -> Iterator[Record]:
    """Yield callbacks that change the same campaigns once more."""
    yield raw(GENERAL, LEAP + 1, full(named("more-1", GENERAL), "Sent", LEAP + 1))
    yield raw(UNDATED, LEAP + 1, plain(UNDATED_MESSAGES[0], "Sent", campaignTrackingId=MAIN))


_ROUNDS: Final = ("Queued", "Queued", "Sent", "Delivered", "Sent", "Delivered", "Undelivered")
_BRIEF_TURNS: Final = {0: "Queued", 7: "Delivered"}


def large() -> Record:
    """Return an envelope of many pieces, with a report of their campaign in each."""
    callbacks: list[dict[str, Any]] = []
    for turn in range(63):
        hours = LEAP + (turn // 9) / 100
        fields = {"campaignTrackingId": LARGE_CAMPAIGN, "price": 0.01}
        callbacks += [plain(name, _ROUNDS[turn // 9], hours, smsId=f"s-{name}", **fields) for name in LARGE_MESSAGES]
        callbacks.append(campaign_report("Running", {"Queued": 40, "Sent": turn}, campaign=LARGE_CAMPAIGN, total=40))
        if turn in _BRIEF_TURNS:
            brief, status = named("b", LARGE), _BRIEF_TURNS[turn]
            callbacks.append(plain(brief, status, hours, campaignTrackingId=BRIEF, price=0.02))
            callbacks.append(campaign_report("Running", {status: 2}, campaign=BRIEF, total=2))
    return raw(LARGE, LEAP + 1.1, *callbacks)


def later() -> Iterator[Record]:
    """Yield callbacks after the upgrade for SMS that are stored: next statuses, a conflict, a late part, duplicates."""
    last = LEAP + 2
    yield raw(GENERAL, last, full(FULL, "Delivered", LEAP + 0.2), full(FULL, "Sent", LEAP + 0.1))
    yield raw(GENERAL, last, full(FULL, "Undelivered", last, reason={"detailedStatus": "EC_1", "description": "late"}))
    yield raw(GENERAL, last, plain(MINIMAL, "Delivered", last, price=0.3), plain(MINIMAL, "Queued", LEAP))
    yield raw(GENERAL, last, full(MULTI, "Delivered", last, sms_id=f"{MULTI}-sms-3", part=3, parts=3))
    yield raw(GENERAL, last, full(MULTI, "Delivered", last, sms_id=f"{MULTI}-sms-2".upper(), part=2, parts=3))
    yield raw(GENERAL, last, plain(NAMELESS, "Failed", last, part=1, parts=2, smsId=f"{NAMELESS}-named"))
    yield raw(GENERAL, last, full(CONFLICT, "Undelivered", last), full(CONFLICT, "Failed", LEAP + 0.02, part=1))
    yield raw(GENERAL, last, full(STAMPED, "Sent", LEAP + 0.25, operator="Vodafone", label="spring", country="CY"))
    yield raw(GENERAL, last, plain(SINCE, "Delivered", last, smsId=f"{SINCE}-sms", campaignTrackingId=MAIN))
    yield raw(GENERAL, last, plain(TWIN, "Delivered", last, smsId=f"{FULL}-sms"))
    yield raw(GENERAL, last, *(plain(name, "Failed", last, **_counted(n)) for n, name in enumerate(COUNTED_MESSAGES)))
    yield raw(
        GENERAL, last, *(plain(named(f"w{n}", GENERAL), "Delivered", last, campaignTrackingId=WORDS) for n in range(18))
    )
    yield raw(GENERAL, last, *(full(named(name, GENERAL), "Failed", last) for name in ("texts", "dear", "greek")))
    yield raw(UNDATED, last, *(plain(name, "Delivered", last) for name in UNDATED_MESSAGES))
    yield raw(UNDATED, last, campaign_report("Finished", {"Delivered": 2}, campaign=ENDED, total=1))
    yield raw(GENERAL, last, campaign_report("Running", {"Queued": 9}, campaign=MAIN, total=60))
    yield raw(GENERAL, last, campaign_report("Finished", {"Delivered": 50}, campaign=MAIN, total=60))
    yield raw(LARGE, last, campaign_report("Finished", {"Delivered": 2}, campaign=BRIEF, total=2))
    yield raw(LARGE, last, *(plain(name, "Delivered", last, smsId=f"s-{name}") for name in LARGE_MESSAGES))
    # So many that rows due for long are forgotten: the buckets between are passed over.
    for _ in range(6):
        yield raw(LEAPING, last, *(plain(MANY[n % len(MANY)], "Sent", last) for n in range(250)))
    yield raw(LEAPING, last, plain(OLD, "Delivered", 0), full(OLD_QUEUED, "Delivered", last))
