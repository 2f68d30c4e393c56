"""
The required content of a golden set: every form of stored state, each with the function that finds it.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import orjson

from tests.support.golden.product import (
    CAMPAIGN_PREFIX,
    CLAIM,
    COUNTS_PREFIX,
    GENERATION_KEY,
    HELD,
    MESSAGE_PREFIX,
    OWNER,
    POSITION,
    SMS_PREFIX,
    SOURCE,
    TALLY_KEY,
    Position,
    Tally,
    find_sms,
    message_view,
    read_message,
    read_tally,
)
from tests.support.golden.stored import TABLES, Golden


def missing_forms(golden: Golden) -> list[str]:
    """Return the names of the forms that are not in a set."""
    return [name for name, is_there in FORMS.items() if not is_there(golden)]


def has_price_below_zero(golden: Golden) -> bool:
    """Tell whether an SMS has a price that later versions than 0.1.0 do not take."""
    return any(sms["price"] == "-0.50000000" for sms in _sms(golden))


def _keys(golden: Golden, table: str = "sms") -> set[bytes]:
    return set(chain.from_iterable(golden.rows(table).values()))


def _views(golden: Golden) -> list[dict[str, Any]]:
    """Return all messages with their SMS, as they are answered."""
    memory = golden.memory("sms").values()
    found = [message_view(rows, key) for rows in memory for key in rows.written if key.startswith(MESSAGE_PREFIX)]
    return [view for view in found if view is not None]


def _sms(golden: Golden) -> list[dict[str, Any]]:
    return [sms for view in _views(golden) for sms in view["sms"]]


def _parts(golden: Golden) -> Iterator[Any]:
    """Yield the stored state of each SMS."""
    for rows in golden.rows("sms").values():
        for key, raw in rows.items():
            if key.startswith(MESSAGE_PREFIX):
                yield from read_message(raw)[0].parts


def _tallies(golden: Golden) -> list[Tally]:
    return [read_tally(rows) for rows in golden.memory("sms").values()]


def _counts(golden: Golden) -> list[dict[str, Any]]:
    return [row for rows in golden.memory("sms").values() for row in rows.with_prefix(COUNTS_PREFIX).values()]


def _campaigns(golden: Golden) -> list[dict[str, Any]]:
    return [row for rows in golden.memory("campaigns").values() for row in rows.with_prefix(CAMPAIGN_PREFIX).values()]


def _lines(golden: Golden) -> list[tuple[int, dict[str, Any]]]:
    """Return how many lines the record of each partial count has, and what the line says."""
    values = [(record.value or b"").split(b"\n") for record in golden.records("campaign.partials")]
    return [(len(lines), orjson.loads(line)) for lines in values for line in lines]


def _owners_differ(golden: Golden, table: str) -> bool:
    records = [one for one in golden.records(f"streams-{table}-changelog") if one.key == OWNER]
    return any(len({one.value for one in records if one.partition == number}) > 1 for number in range(4))


def _deleted(golden: Golden, prefix: bytes) -> bool:
    records = golden.records("streams-sms-changelog")
    return any(one.value is None and (one.key or b"").startswith(prefix) for one in records)


def _is_inside_a_record(golden: Golden) -> bool:
    return any(Position.parse(rows[POSITION]).taken for rows in golden.rows("sms").values() if POSITION in rows)


def _is_found_elsewhere(golden: Golden) -> bool:
    """Tell whether an SMS of one message is found in another one that has an SMS of the same key."""
    found = ((find_sms(rows, key[len(SMS_PREFIX) :].decode()), key) for rows, key in _index(golden))
    others = {(sms["sms_key"], sms["message_id"]) for sms in _sms(golden)}
    return any(sms and any(k == sms["sms_key"] and m != sms["message_id"] for k, m in others) for sms, _ in found)


def _index(golden: Golden) -> Iterator[tuple[Any, bytes]]:
    for rows in golden.memory("sms").values():
        yield from ((rows, key) for key in rows.written if key.startswith(SMS_PREFIX))


def _has_makeshift(golden: Golden) -> bool:
    return any(tally.get("makeshift") and not tally["clock"] for tally in _tallies(golden))


_STATUSES: Final = frozenset({"Queued", "Sent", "Delivered", "Undelivered", "Failed", "Unsent", "Buffered"})
_ALWAYS_THERE: Final = frozenset({"previous_status", "message_previous_status", "queued_at", "sent_at", "final_at"})

FORMS: Final[dict[str, Callable[[Golden], bool]]] = {
    "an SMS in every status, and with an unknown word": lambda golden: (
        {sms["status"] for sms in _sms(golden)} >= _STATUSES
    ),
    "an SMS with all its details": lambda golden: any(
        None not in (value for name, value in sms.items() if name not in _ALWAYS_THERE) and sms["groups"]
        for sms in _sms(golden)
    ),
    "an SMS without any": lambda golden: any(
        not any((sms["sms_id"], sms["recipient"], sms["part"], sms["price"], sms["groups"])) for sms in _sms(golden)
    ),
    "details of earlier callbacks (stamps)": lambda golden: any(len(sms.stamps) > 1 for sms in _parts(golden)),
    "conflicting finals": lambda golden: any(sms["conflicts"] > 1 for sms in _sms(golden)),
    "a status without a date (since)": lambda golden: any(sms.since and not sms.date for sms in _parts(golden)),
    "a fraction, and a whole number, as latency": lambda golden: (
        {type(sms["latency_seconds"]) for sms in _sms(golden)} >= {int, float}
    ),
    "a price of nothing, and the greatest": lambda golden: (
        {"0.00000000", "9999999999.99999999"} <= {sms["price"] for sms in _sms(golden)}
    ),
    "texts that are no ASCII": lambda golden: any(not (sms["message"] or "").isascii() for sms in _sms(golden)),
    "messages of several SMS, one of them not seen yet": lambda golden: (
        {(view["parts_seen"], view["parts"]) for view in _views(golden)} >= {(2, 3), (2, 2)}
    ),
    "SMS with and without a campaign": lambda golden: (
        len({view["campaign_tracking_id"] is None for view in _views(golden)}) > 1
    ),
    "index rows": lambda golden: any(key.startswith(SMS_PREFIX) for key in _keys(golden)),
    "two messages with an SMS of one key": _is_found_elsewhere,
    "an expiry bucket with a full chunk": lambda golden: any(
        key.count(b":") > 1 and key[:2] == b"x:" for key in _keys(golden)
    ),
    "a leap of time": lambda golden: b"l:" in _keys(golden),
    "messages and index rows that are forgotten": lambda golden: (
        _deleted(golden, MESSAGE_PREFIX) and _deleted(golden, SMS_PREFIX)
    ),
    "a clock of dates, and a makeshift one": lambda golden: (
        {bool(tally["clock"]) for tally in _tallies(golden)} == {True, False} and _has_makeshift(golden)
    ),
    "every verdict": lambda golden: (
        set(chain.from_iterable(tally["verdicts"] for tally in _tallies(golden)))
        == {"applied", "duplicate", "stale", "conflict", "report", "rejected"}
    ),
    "refusals and notes": lambda golden: (
        any(tally["rejected"] for tally in _tallies(golden)) and any(tally["notes"] for tally in _tallies(golden))
    ),
    "counts with other unknown words": lambda golden: any("other" in row["messages"] for row in _counts(golden)),
    "counts of part of a record (taken)": lambda golden: any(row.get("taken", 0) > 250 for row in _counts(golden)),
    "a generation": lambda golden: all(
        int(rows[GENERATION_KEY]) > 0 for rows in golden.rows("sms").values() if GENERATION_KEY in rows
    ),
    "the source of each table": lambda golden: all(SOURCE in _keys(golden, table) for table in TABLES),
    "owners and claims": lambda golden: all({OWNER, CLAIM} <= _keys(golden, table) for table in TABLES),
    "an owner that was retired": lambda golden: all(_owners_differ(golden, table) for table in TABLES),
    "a position inside a record": _is_inside_a_record,
    "two keys of each table that are held back": lambda golden: all(
        sum(key.startswith(HELD) for key in _keys(golden, table)) > 1 for table in TABLES
    ),
    "a campaign with counts of every partition": lambda golden: any(
        len(row["sources"]) == golden.partitions - 1 for row in _campaigns(golden)
    ),
    "counts of two generations": lambda golden: len({line["generation"] for _, line in _lines(golden)}) > 1,
    "campaigns with and without a report, and with stale ones": lambda golden: (
        len({row["report"] is None for row in _campaigns(golden)}) > 1
        and any(row["stale_reports"] for row in _campaigns(golden))
    ),
    "campaigns that ended": lambda golden: len({row["finished"] > 0 for row in _campaigns(golden)}) > 1,
    "a clock of the campaigns": lambda golden: TALLY_KEY in _keys(golden, "campaigns"),
    "partial counts, and reports, of several campaigns in one record": lambda golden: (
        {"report" in line for lines, line in _lines(golden) if lines > 1} == {True, False}
    ),
    "partial counts that are not taken in yet": lambda golden: any(
        len([one for one in golden.records("campaign.partials") if one.partition == number])
        > Position.parse(rows[POSITION]).offset
        for number, rows in golden.rows("campaigns").items()
        if POSITION in rows
    ),
}
