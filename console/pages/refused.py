"""
Refused: the callbacks that were not taken, why, and how to send them through again.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from console.pages.site import Look, Site, one_of
from console.safety.masking import masked_callback, masked_words
from console.tables.clickhouse import Row

_PERIODS: Final = {"24": 24, "168": 168, "720": 720}
_STAGES: Final = {"": "", "ingest": "ingest", "streams": "streams"}
REASONS: Final = {
    "not-json": "the body is no JSON",
    "not-object": "the body is JSON, and no object",
    "no-key": "neither messageId nor trackingId",
    "unknown-shape": "no shape of a status or a report: another kind of Routee’s callbacks",
    "invalid-field": "a field has a type or a value that no callback has",
    "too-deep": "the body is nested deeper than any callback",
    "expired": "an old status of a message that is forgotten",
    "bug": "our own fault: the log of streams tells more",
}
_STEPS: Final = 24
_UTC: Final = "%Y-%m-%dT%H:%M:%SZ"
_EACH: Final = 2
_ALL: Final = 50
_SHOWN_BYTES: Final = 200
_UNMASKABLE: Final = "it cannot be looked through for numbers and texts, and so is not shown masked"


class RefusedPage:
    """The page of refused callbacks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Show it, or the samples as CSV."""
        look = self._site.look(request, "refused")
        given = request.query_params
        period, stage = one_of(given.get("period"), _PERIODS, "24"), one_of(given.get("stage"), _STAGES, "")
        reason, hours = one_of(given.get("reason"), REASONS, ""), _PERIODS[period]
        tables = self._site.sources.refused
        reasons = await look.part("reasons", tables.by_reason(hours, stage))
        if given.get("csv") == "reasons":
            cells = _reason_cells(reasons or [], look.now, hours)
            return self._site.sheet("reasons", _REASON_HEADS, cells, look.troubles.get("reasons"))
        samples = await look.part("samples", tables.samples(hours, stage, reason, _ALL if reason else _EACH)) or []
        if given.get("csv") == "samples":
            bodies = (self._cells(look, row) for row in samples)
            return self._site.sheet("refused", _HEADS, bodies, look.troubles.get("samples"))
        total = sum(row["callbacks"] for row in reasons or [])
        return self._site.page(
            look,
            "refused.html",
            "refused",
            reasons=[(row, _columns(row)) for row in reasons] if reasons is not None else None,
            told=REASONS,
            total=total,
            accepted=await look.part("accepted", tables.accepted(hours)) or 0,
            last=await look.part("last", tables.last()) if not total else None,
            command=_command(reason or (reasons[0]["reason"] if reasons else ""), look.now, hours, reasons or []),
            samples=[(row, self._shown(look, row), _size(row)) for row in samples],
            period=period,
            hours=hours,
            stage=stage,
            reason=reason,
            begins=look.now - timedelta(hours=hours),
            steps=_STEPS,
        )

    def _shown(self, look: Look, row: Row) -> str:
        """Return the beginning of a body as this person sees it."""
        body = _body(row)
        if not body:
            return "nothing of it is kept" if row["redacted"] else "an empty body"
        if look.unmasked:
            return body[:_SHOWN_BYTES]
        try:
            masked = masked_callback(json.loads(body))
            return _UNMASKABLE if masked is None else json.dumps(masked, ensure_ascii=False)[:_SHOWN_BYTES]
        except (ValueError, RecursionError):
            # Bytes that cannot be parsed cannot be masked by field: only numbers are, and most of it is left out.
            return (masked_words(body[:48]) or "") + " …"

    def _cells(self, look: Look, row: Row) -> list[object]:
        return [
            *(row["received_at"], row["stage"], row["reason"], look.words(row["detail"]), _size(row)),
            *(self._shown(look, row), row["partition"], row["offset"], row["index"]),
        ]


_REASON_HEADS: Final = ("From (UTC)", "Reason", "Refused by", "Callbacks")


def _reason_cells(reasons: list[Row], now: datetime, hours: int) -> Iterator[list[object]]:
    """Yield a row for each column of the picture."""
    step = timedelta(hours=hours) / _STEPS
    for row in reasons:
        for ago, count in sorted(row["steps"], reverse=True):
            yield [f"{now - (int(ago) + 1) * step:{_UTC}}", row["reason"], row["stage"], count]


_HEADS: Final = ("Received (UTC)", "Refused by", "Reason", "In words", "Bytes", "Body", "Partition", "Offset", "Index")


def _body(row: Row) -> str:
    if row["body"] is not None:
        return str(row["body"])
    try:
        return base64.b64decode(row["body_base64"] or "").decode("utf-8", "replace")
    except ValueError:
        return ""


def _size(row: Row) -> int:
    return len(_body(row).encode())


def _command(reason: str, now: datetime, hours: int, reasons: list[Row]) -> str:
    """Return the command that sends the callbacks of a reason through again: of the hours in which there are some."""
    step = timedelta(hours=hours) / _STEPS
    ago = [int(ago) for row in reasons if row["reason"] == reason for ago, _ in row["steps"]]
    since = _hour(now - (max(ago, default=_STEPS - 1) + 1) * step)
    until = _hour(now - min(ago, default=0) * step) + timedelta(hours=1)
    # A reason is a word from outside; in a shell it stays one.
    return f"routee-ingest redrive --reason {quote(reason)} --since {since:{_UTC}} --until {until:{_UTC}} --plan"


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _columns(row: Row) -> dict[str, Any]:
    """Return the columns of a reason over time: each step of the period, and the highest."""
    counts = {_STEPS - 1 - int(ago): int(count) for ago, count in row["steps"] if 0 <= int(ago) < _STEPS}
    most = max(counts.values(), default=1)
    high = max(counts, key=lambda step: counts[step], default=0)
    return {
        "bars": [
            (step * 10 + 0.8, 24 - count / most * 24, count / most * 24) for step, count in sorted(counts.items())
        ],
        "most": most,
        "at": high,
    }
