"""
The stages over the callbacks of a range of time: one partition of `track_sms`, then the merging ones. Pure.

A worker flushes several times a second; here a minute of Kafka's time is a flush. Which state a key has in the end does
not depend on it, but for the revisions and times of `campaign.progress` that tell of the way there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from streams.contract.topics import (
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PROGRESS,
    DELIVERY_PARTIALS,
    DELIVERY_WINDOWS,
    SMS_STATUS,
)
from streams.domain.campaign_stage import CampaignStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import Erased, Policy
from streams.domain.rehearsal import MemoryRows
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output, Stage
from streams.replay.kept import Kept, MakeKept

Record = dict[str, Any]
_MINUTE_MS: Final = 60_000
_LINES_OF_A_RECORD: Final = 1_000
_MOST_KEPT: Final = 10_000
"""Rows as objects, of a kilobyte each, about."""
_SETTLED_MINUTES: Final = 60
"""A cell is told so often; it is forgotten days after its last change."""


class Line(NamedTuple):
    """A line of partials: what a partition tells the stages that merge."""

    minute: int
    partition: int
    is_cell: bool
    value: bytes


class PartitionReplay:
    """
    One partition of `callbacks.raw` through `track_sms`; records come in the order of their offsets.

    `keep` makes the tables that have the rows, the newest record of each SMS, and every refused callback.
    """

    def __init__(self, policy: Policy, partition: int, erased: Erased | None, keep: MakeKept = Kept) -> None:
        self._keep = keep
        self._sms, self._rejections = keep(), keep()
        self._rejected = 0
        self._stage = SmsStage(policy)
        self._rows = MemoryRows(keep())
        self._rows.erased = erased
        self._partition = partition
        self._minute = 0

    def take(self, offset: int, timestamp_ms: int, value: bytes | None) -> Iterator[Line]:
        """Take in a record; yield the lines that are due."""
        minute = max(self._minute, timestamp_ms // _MINUTE_MS)
        if minute > self._minute:
            yield from self.settle()
            self._minute = minute
        for piece in self._stage.apply(self._rows, self._partition, offset, value or b""):
            yield from self._sorted(piece.outputs)

    def settle(self) -> Iterator[Line]:
        """Yield the lines of all that has changed."""
        outputs = self._stage.summarize(self._rows, self._partition, self._rows.changed)
        self._rows.changed.clear()
        self._rows.write_kept(_MOST_KEPT)
        yield from self._sorted(outputs)

    def _sorted(self, outputs: Iterable[Output]) -> Iterator[Line]:
        for output in outputs:
            if output.topic is SMS_STATUS:
                self._sms[output.key or b""] = output.value
            elif output.topic is CALLBACKS_REJECTED:
                self._rejections[b"%020d" % self._rejected] = output.value
                self._rejected += 1
            elif output.topic in {CAMPAIGN_PARTIALS, DELIVERY_PARTIALS}:
                yield Line(self._minute, self._partition, output.topic is DELIVERY_PARTIALS, output.value)

    def sms_records(self) -> Iterator[Record]:
        """Yield the newest record of each SMS, by its key."""
        return map(orjson.loads, self._sms.values())

    def rejection_records(self) -> Iterator[Record]:
        """Yield each refused callback, in order."""
        return map(orjson.loads, self._rejections.values())

    def message_records(self) -> Iterator[Record]:
        """Yield each message as its newest record has it, with the place of the callback that changed it last."""
        newest = self._keep()
        for value in self._sms.values():
            told = _OF_MESSAGE.decode(value)
            key = told.message_id.lower().encode()
            # As bytes they are in the order of the numbers.
            at = told.generation.to_bytes(_AT_BYTES, "big") + told.message_revision.to_bytes(_AT_BYTES, "big")
            known = newest.get(key)
            if known is None or at > known[: 2 * _AT_BYTES]:
                newest[key] = at + msgspec.json.encode(told)
        return (orjson.loads(value[2 * _AT_BYTES :]) for value in newest.values())


class _OfMessage(msgspec.Struct):
    """The fields of a message in the newest record of its SMS."""

    message_id: str
    campaign_tracking_id: Any
    message_status: Any
    message_previous_status: Any
    message_is_final: Any
    message_parts: Any
    message_parts_seen: Any
    message_latency_seconds: Any
    message_price: Any
    message_revision: int
    generation: int
    partition: Any
    offset: Any
    index: Any


_OF_MESSAGE: Final = msgspec.json.Decoder(_OfMessage)
_AT_BYTES: Final = 8
MESSAGE_FIELDS: Final = _OfMessage.__struct_fields__


class Merging:
    """
    The lines of all partitions, in order, through `track_campaign` and `track_delivery`.

    `keep` makes the tables that have the rows, the newest record of each cell, and for each campaign and cell the
    [partition, offset] of the record that told of it last.
    """

    def __init__(self, keep: MakeKept = Kept) -> None:
        self._campaigns, self._cells = _Table(CampaignStage(), keep()), _Table(DeliveryStage(), keep())
        self._cell_records, self._places = keep(), keep()
        self._settled = 0

    def take(self, lines: Iterable[Line]) -> None:
        """Take in all lines; they come by minute, partition and their order there."""
        for line in lines:
            if line.minute >= self._settled + _SETTLED_MINUTES:
                self._settle_cells()
                self._settled = line.minute
            (self._cells if line.is_cell else self._campaigns).add(line.value)
            self._note_place(line)
        self._settle_cells()

    def _note_place(self, line: Line) -> None:
        told = _LINE.decode(line.value)
        name = told.cell or (told.campaign or told.counts["id"]).lower()
        self._places[name.encode()] = b"%d %d" % (line.partition, told.place[1] if told.place else told.counts["v"])

    def _settle_cells(self) -> None:
        for output in self._cells.settle():
            if output.topic is DELIVERY_WINDOWS:
                self._cell_records[output.key or b""] = output.value

    def campaign_records(self) -> Iterator[Record]:
        """Yield each campaign, by its id, with the place of the record that told of it last."""
        found = [orjson.loads(one.value) for one in self._campaigns.settle() if one.topic is CAMPAIGN_PROGRESS]
        for record in sorted(found, key=lambda one: str(one["campaign_tracking_id"]).lower()):
            yield record | self._place_of(record["campaign_tracking_id"].lower())

    def cell_records(self) -> Iterator[Record]:
        """Yield each cell, by its name, with such a place."""
        for key, value in self._cell_records.items():
            yield orjson.loads(value) | self._place_of(key.decode())

    def _place_of(self, name: str) -> Mapping[str, int]:
        partition, offset = (self._places.get(name.encode()) or b"").split()
        return {"partition": int(partition), "offset": int(offset)}


class _Line(msgspec.Struct):
    cell: str | None = None
    campaign: str | None = None
    place: list[int] | None = None
    counts: dict[str, Any] = {}


_LINE: Final = msgspec.json.Decoder(_Line)


class _Table:
    """A stage that merges, with its rows; the lines of a record are taken in together."""

    def __init__(self, stage: Stage, rows: Kept) -> None:
        self._stage = stage
        self._rows = MemoryRows(rows)
        self._lines: list[bytes] = []
        self._offset = 0

    def add(self, line: bytes) -> None:
        """Add a line."""
        self._lines.append(line)
        if len(self._lines) >= _LINES_OF_A_RECORD:
            self._take()

    def _take(self) -> None:
        if self._lines:
            for _ in self._stage.apply(self._rows, 0, self._offset, b"\n".join(self._lines)):
                pass
            self._offset += 1
            self._lines.clear()

    def settle(self) -> list[Output]:
        """Return the outputs of all that changed since the last call."""
        self._take()
        outputs = self._stage.summarize(self._rows, 0, self._rows.changed)
        self._rows.changed.clear()
        self._rows.write_kept(_MOST_KEPT)
        return outputs
