"""
A message: its parts, every change of them, and the callback behind each.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from console.errors import AwayError
from console.pages.site import Look, Site
from console.safety.masking import masked_callback
from console.tables.clickhouse import Row, Rows
from console.words.numbers import grouped
from console.words.statuses import FINALS, WIDE, css_of
from console.words.times import moment_of

_MOST_KEY: Final = 256
_PLACES: Final = 3
_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Lane:
    """A piece of a part's life in one status: its class, and its place in the bar."""

    css: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a part, and its effect."""

    row: Row
    received: datetime | None
    told: datetime | None
    after: float | None
    made: str
    is_conflict: bool
    place: str


class MessagePage:
    """The page of one message."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Show it, with the callback that `callback=PARTITION/OFFSET/INDEX` names; 404 when nothing is known of it."""
        look = self._site.look(request, "message")
        key = request.path_params["key"][:_MOST_KEY]
        parts = await self._parts(look, key)
        if not parts:
            status = 503 if look.troubles else 404
            return self._site.page(look, "unknown.html", "search", status, what="message", key=key)
        if request.query_params.get("csv") == "parts":
            return self._site.sheet("parts", _PARTS_HEADS, ([row.get(name) for name in _PARTS] for row in parts))
        changes = await look.part("changes", self._site.sources.messages.changes(parts[0]["message_id"])) or []
        if request.query_params.get("csv") == "changes":
            return self._site.sheet("changes", _HEADS, map(_cells, changes), look.troubles.get("changes"))
        shown = [_change(row) for row in changes]
        begin, end = _span(parts, changes)
        asked = request.query_params.get("callback") or (shown[-1].place if shown else "")
        return self._site.page(
            look,
            "message.html",
            "search",
            message=_whole(parts),
            parts=[(row, _lanes(row, changes, begin, end)) for row in parts],
            begin=begin,
            end=end,
            changes=shown,
            days={self._site.clock.day_of(one.received) for one in shown if one.received},
            callback=await self._callback(look, asked),
            asked=asked,
            text=look.text(next((row["message"] for row in parts if row["message"]), None)),
            recipient=look.number(parts[0]["recipient"]),
        )

    async def _parts(self, look: Look, key: str) -> Rows:
        """Return the parts as the tables have them, and the newer ones of streams, also while the tables are away."""
        there = await look.part("parts", self._site.sources.messages.parts(key)) or []
        live = await look.part("live", self._site.sources.read_api.message(key))
        by_key = {row["sms_key"]: row for row in there}
        for row in (live or {}).get("sms", []):
            known = by_key.get(row["sms_key"])
            if known is None:
                by_key[row["sms_key"]] = row
            elif (known["generation"], known["revision"]) < (row["generation"], row["revision"]):
                told = {name: value for name, value in row.items() if not _is_masked(name, value)}
                by_key[row["sms_key"]] = {**known, **told}
        return sorted(by_key.values(), key=lambda row: (row.get("part") or 1, row["sms_key"]))

    async def _callback(self, look: Look, asked: str) -> dict[str, Any] | None:
        """Return the callback at a place, as this person sees it; its words say why there is none."""
        places = asked.split("/")
        if len(places) != _PLACES or not all(
            place.isascii() and place.isdecimal() and len(place) <= _MOST_DIGITS for place in places
        ):
            return None
        partition, offset, index = map(int, places)
        told = {"place": f"{partition} / {grouped(offset)} / {index}", "body": None, "words": ""}
        try:
            found = await self._site.sources.callbacks.at(partition, offset, index)
        except AwayError as error:
            return told | {"words": f"{error}; look again in a moment."}
        if found is None:
            return told | {"words": "Kafka keeps callbacks for 7 days, and has this one no more."}
        value = orjson.loads(found.body)
        masked = None if look.unmasked else masked_callback(value)
        if masked is None and not look.unmasked:
            return told | {"words": "It cannot be looked through for numbers and texts, and so is not shown masked."}
        body = found.body if look.unmasked else orjson.dumps(masked, option=orjson.OPT_INDENT_2)
        return told | {
            "body": body.decode("utf-8", "replace"),
            "topic": found.topic,
            "received": found.received_at,
            "size": len(found.body),
            "repairs": ", ".join(found.repairs),
        }


_PARTS: Final = (
    *("part", "status", "detailed_status", "queued_at", "sent_at", "final_at", "latency_seconds", "price"),
    *("conflicts", "revision", "sms_id"),
)
_PARTS_HEADS: Final = (
    *("Part", "Status", "Reason", "Queued (UTC)", "Sent (UTC)", "Final (UTC)", "Latency, s", "Price"),
    *("Conflicts", "Revision", "SMS id"),
)
_HEADS: Final = (
    *("Received (UTC)", "Routee's time (UTC)", "Part", "Before", "Status", "Reason", "Revision", "Conflicts"),
    *("Price", "Partition", "Offset", "Index"),
)


def _cells(row: Row) -> list[object]:
    return [
        *(row["received_at"], row["status_updated_at"], row["part"], row["previous_status"], row["status"]),
        *(
            row["detailed_status"],
            row["revision"],
            row["conflicts"],
            row["price"],
            row["partition"],
            row["offset"],
            row["index"],
        ),
    ]


def _is_masked(name: str, value: object) -> bool:
    """Return whether the read API has masked a value, as it does for a token that may not see all."""
    return name in {"recipient", "message", "label", "groups"} and (not value or str(value).startswith("***"))


def _whole(parts: Rows) -> dict[str, Any]:
    """Return the facts of the message: its status is in the record of the part that changed last."""
    last = max(parts, key=lambda row: (row["generation"], row.get("message_revision") or 0))
    prices = [float(row["price"]) for row in parts if row.get("price") is not None]
    return {
        **last,
        "status": last.get("message_status") or last["status"],
        "parts": max(last.get("message_parts") or 1, last.get("parts") or 1, len(parts)),
        "seen": len(parts),
        "is_final": bool(last.get("message_is_final", last["is_final"])),
        "price": sum(prices) if prices else None,
        "conflicts": sum(row["conflicts"] for row in parts),
        "latency_seconds": max(
            (row["latency_seconds"] for row in parts if row.get("latency_seconds") is not None), default=None
        ),
        "final_at": max((row["final_at"] for row in parts if row.get("final_at")), default=None),
    }


def _change(row: Row) -> Change:
    received, told = moment_of(row["received_at"]), moment_of(row["status_updated_at"])
    before = row["previous_status"]
    is_conflict = before in FINALS and row["status"] in FINALS and before != row["status"]
    if is_conflict:
        made = "conflict: a second, different final status stands now"
    elif row.get("source") == "pull":
        made = "told by Routee when backfill asked: no callback had come"
    elif before == row["status"]:
        made = "the status stays; other fields were filled"
    else:
        made = "taken in"
    after = (received - told).total_seconds() if received and told else None
    return Change(row, received, told, after, made, is_conflict, f"{row['partition']}/{row['offset']}/{row['index']}")


def _span(parts: Rows, changes: Rows) -> tuple[datetime, datetime]:
    """Return the time that the lanes show: from the first moment known of the message to its last change."""
    names = ("queued_at", "sent_at", "final_at", "status_updated_at")
    moments = [moment for row in [*parts, *changes] for name in names if (moment := moment_of(row.get(name)))]
    return min(moments), max(moments)


def _lanes(part: Row, changes: Rows, begin: datetime, end: datetime) -> list[Lane]:
    """Return the statuses of a part over time: by Routee's times, in the order in which they were applied."""
    whole = max((end - begin).total_seconds() * 1.12, 1.0)
    own = [row for row in changes if row["sms_key"] == part["sms_key"]] or [part]
    steps = [(moment_of(row["status_updated_at"]), row["status"]) for row in own]
    known = [
        *filter(
            lambda one: one[0], ((moment_of(part.get("queued_at")), "Queued"), (moment_of(part.get("sent_at")), "Sent"))
        )
    ]
    timeline = sorted({*known, *steps}, key=lambda one: (one[0] or begin, one[1] in FINALS))
    lanes = []
    for place, (at, status) in enumerate(timeline):
        after = timeline[place + 1][0] if place + 1 < len(timeline) else None
        x = ((at or begin) - begin).total_seconds() / whole * WIDE
        until = ((after - begin).total_seconds() / whole * WIDE) if after else WIDE
        lanes.append(Lane(css_of(status), round(x, 1), round(max(until - x, 6.0), 1)))
    return lanes
