"""
Stage 2, `track_campaign`: turns partial counts and reports into the progress of each campaign.

A record of the partials topic has lines of two kinds: `{"partition", "generation", "counts"}` (absolute counts of one
source partition) and `{"partition", "generation", "campaign", "place", "received", "report", "clock"}`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec
import orjson

from streams.contract.headers import headers_of
from streams.contract.topics import CAMPAIGN_PARTIALS, CAMPAIGN_PROGRESS, DELIVERY_WATCH
from streams.domain.alarms.hanging import campaign_line
from streams.domain.counts import NOT_TOUCHED
from streams.domain.lines import RefusedLineError, rejected_line, taken_line
from streams.domain.policy import CAMPAIGN_MS
from streams.domain.progress import (
    Campaign,
    PartitionCounts,
    following,
    is_ended,
    last_change,
    new_campaign,
    progress_record,
    read_campaign,
    read_counts,
    totals,
    with_unit,
)
from streams.domain.report import NO_REPORT, join
from streams.domain.row_forms import filled
from streams.domain.silence import noted_time, passed, touched_at
from streams.domain.stage import GENERATION_KEY, PIECE_BYTES, Ending, Output, Piece, Rows

CAMPAIGN_PREFIX: Final = b"t:"

CLOCK_KEY: Final = b"v:"
"""The row with the greatest time of receipt so far (ms)."""

TIME_KEY: Final = b"w:"
"""The row with the time of the campaigns (ms), see `silence`."""


def campaign_key(tracking_id: str) -> bytes:
    """Return the key of a campaign's row; ids are the same in any case."""
    return CAMPAIGN_PREFIX + tracking_id.lower().encode()


class _Silence(msgspec.Struct):
    """The fields in the row of a campaign that tell when it was changed last."""

    revision: int
    last: int
    touched: Sequence[int] = NOT_TOUCHED


_read_silence: Final = msgspec.json.Decoder(_Silence).decode


class CampaignStage:
    """The rules of `track_campaign`; a `Stage`. A campaign is kept for `silence_ms` after its last change."""

    summarized: ClassVar[tuple[bytes, ...]] = (CAMPAIGN_PREFIX,)
    forgettable: ClassVar[bytes | None] = CAMPAIGN_PREFIX

    def __init__(self, silence_ms: int = CAMPAIGN_MS) -> None:
        self._silence_ms = silence_ms

    def apply(  # noqa: PLR0913, PLR0917 - as in Stage
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        """
        Take in one record of the partials topic: its lines, partials of several campaigns, from `begin` on.

        Counts replace the known ones when they are newer by (generation, `v`, `taken`); a report is taken when its
        place lies after the last one's. A repeated line changes nothing, not even the revision.
        """
        lines = value.split(b"\n")
        left: int | None = begin
        while left is not None:
            gatherer = _Gatherer(rows, partition, offset, self._silence_ms, ended)
            left = gatherer.take_piece(lines, left)
            yield Piece(gatherer.rejections, left)

    def forget(self, rows: Rows, keys: Iterable[bytes]) -> int:
        """Delete the campaigns that are over."""
        before = (rows.get(TIME_KEY) or 0) - self._silence_ms
        over = [key for key in keys if (raw := rows.raw(key)) is not None and _changed_at(raw) < before]
        for key in over:
            rows.delete(key)
        return len(over)

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:  # noqa: ARG002
        """Return one progress record per changed campaign, and its line for the alarms when it has reports."""
        found = (rows.get(key) for key in sorted(changed) if key.startswith(CAMPAIGN_PREFIX))
        generation = rows.get(GENERATION_KEY) or 0
        return [output for row in found if row is not None for output in _outputs(read_campaign(row), generation)]


def _changed_at(raw: bytes) -> int:
    row = _read_silence(raw)
    return touched_at(row.touched, row.revision, row.last)


class _Gatherer:
    """Puts the lines of one piece of a partials record into the rows."""

    def __init__(self, rows: Rows, partition: int, offset: int, silence_ms: int, ended: Ending | None) -> None:
        self._rows = rows
        self._silence_ms = silence_ms
        self._ended = ended
        self._partition = partition
        self._offset = offset
        self._revised: set[bytes] = set()
        self._touched_bytes = 0
        self._known_clock: int = rows.get(CLOCK_KEY) or 0
        self._clock = self._known_clock
        self._known_time: int = rows.get(TIME_KEY) or 0
        self._time = self._known_time
        self.rejections: list[Output] = []

    def take_piece(self, lines: list[bytes], begin: int) -> int | None:
        """Take in the piece that begins at line `begin`; return where the next one begins, None after the last."""
        end = self._take_lines(lines, begin)
        if self._clock != self._known_clock:
            self._rows.put(CLOCK_KEY, self._clock)
        if self._time != self._known_time:
            self._rows.put(TIME_KEY, self._time)
        return end if end < len(lines) else None

    def _take_lines(self, lines: list[bytes], begin: int) -> int:
        for at, line in enumerate(lines[begin:], begin):
            self._take_guarded(at, line)
            if self._touched_bytes > PIECE_BYTES:
                return at + 1
        return len(lines)

    def _take_guarded(self, at: int, line: bytes) -> None:
        """Take in one line, or reject it."""
        try:
            campaign = taken_line(at, line, self._ended, self._taken)
        except RefusedLineError as why:
            place = _place_in(line)
            self.rejections.append(
                rejected_line(CAMPAIGN_PARTIALS, self._partition, self._offset, line, why, self._clock, place)
            )
            return
        if campaign is not None:
            self._put(campaign)

    def _put(self, campaign: Campaign) -> None:
        key = campaign_key(campaign["id"])
        if key not in self._revised or not campaign["revision"]:
            # The record's offset plus one: the same in every replay, however many lines of the piece change the row.
            # A further piece of the record counts on from it, as does a recreated topic, whose offsets restart at 0.
            campaign["revision"] = max(self._offset, campaign["revision"]) + 1
            self._revised.add(key)
        campaign["touched"] = [campaign["revision"], self._time]
        self._rows.put(key, campaign)
        self._touched_bytes += len(self._rows.raw(key) or b"")
        self._clock = max(self._clock, campaign["last"])

    def _taken(self, record: dict[str, Any]) -> Campaign | None:
        """Return the campaign after a line, None when the line changes nothing."""
        if "report" in record:
            self._time = passed(self._time, record.get("clock", 0), record["received"])
            return _take_report(self._row(record["campaign"], record["received"]), record)
        source, counts = read_counts(record)
        dated = noted_time(counts.get("touched", NOT_TOUCHED), counts["v"])
        self._time = passed(self._time, dated, counts["last"])
        return _take_counts(self._row(counts["id"], counts["first"]), source, counts)

    def _row(self, name: str, received: int) -> Campaign:
        row = self._rows.get(campaign_key(name))
        known = None if row is None else read_campaign(row)
        is_over = known is not None and last_change(known) < self._time - self._silence_ms
        return new_campaign(name, received) if known is None or is_over else known


def _outputs(campaign: Campaign, generation: int) -> Iterator[Output]:
    record, key = progress_record(campaign, generation), campaign["id"]
    headers = headers_of(CAMPAIGN_PROGRESS.suffix, record["is_final"], key)
    yield Output(CAMPAIGN_PROGRESS, key.encode(), orjson.dumps(record), headers)
    line = campaign_line(campaign, generation)
    if line is not None:
        yield Output(DELIVERY_WATCH, None, line)


def _place_in(value: bytes) -> tuple[int, int, int] | None:
    """Return the place of the callback that an unreadable report line was made from; None for counts."""
    try:
        place = orjson.loads(value)["place"]
    except (ValueError, LookupError, TypeError):
        return None
    match place:
        case [int(partition), int(offset), int(index)]:
            return partition, offset, index
        case _:
            return None


def _take_counts(row: Campaign, source: str, counts: PartitionCounts) -> Campaign | None:
    known = row["sources"].get(source)
    if known is not None and _age(known) >= _age(counts):
        return None
    row = {
        **row,
        "sources": {**row["sources"], source: following(known, counts)},
        "first": min(row["first"], counts["first"]),
        "last": max(row["last"], counts["last"]),
    }
    return _with_end(row, counts["last"])


def _age(counts: PartitionCounts) -> tuple[int, int, int]:
    return counts["generation"], counts["v"], counts.get("taken", 0)


def _take_report(row: Campaign, record: dict[str, Any]) -> Campaign | None:
    generation, place, received = record["generation"], record["place"], record["received"]
    last = row["report_place"]
    if last is not None and last[0] == place[0] and (row["report_generation"], last) >= (generation, place):
        return None
    report = filled(NO_REPORT, record["report"])
    joined = join(row["report"], report)
    row = {
        **row,
        "report": joined.reports,
        "report_generation": generation,
        "report_place": place,
        "stale_reports": row["stale_reports"] + joined.is_stale,
        "unordered_reports": row["unordered_reports"] + joined.is_unordered,
        "first": min(row["first"], received),
        "last": max(row["last"], received),
    }
    return _with_end(with_unit(row, report), received)


def _with_end(row: Campaign, received: int) -> Campaign:
    ended = is_ended(row["report"], totals(row["sources"].values()))
    return {**row, "finished": (row["finished"] or received) if ended else 0}
