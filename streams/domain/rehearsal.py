"""
A rehearsal: the alarms that recorded callbacks would have told, by the rules alone, in the callbacks' own time.

One partition of each stage, its rows in memory, and a tick for each minute from the first receipt to the last.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec
import orjson

from streams.contract.dates import read_receipt
from streams.contract.topics import (
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    DELIVERY_ALARMS,
    DELIVERY_PARTIALS,
    DELIVERY_WATCH,
    Topic,
)
from streams.domain.alarm_stage import AlarmStage
from streams.domain.campaign_stage import CampaignStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import Erased, Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output, Stage

Record = dict[str, Any]
_MINUTE_MS: Final = 60_000


def _written_as(changing: Any) -> Any:  # noqa: ANN401 - as msgspec has it
    return changing.row()


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_written_as)


class _Envelope(msgspec.Struct):
    received_at: str | int | float | None
    callbacks: list[msgspec.Raw]


class Written(Protocol):
    """Rows as they are written; a dictionary is one."""

    def get(self, key: bytes, /) -> bytes | None:
        """Return a row, None when there is none."""

    def __setitem__(self, key: bytes, row: bytes, /) -> None:
        """Write a row."""

    def pop(self, key: bytes, default: None, /) -> object:
        """Delete a row, if it is there."""


class MemoryRows:
    """Implements `Rows` over a dictionary: rows are encoded when put, and decoded anew when got."""

    erased: Erased | None = None

    def __init__(self, written: Written | None = None) -> None:
        self._written: Written = {} if written is None else written
        self._kept: dict[bytes, Any] = {}
        self.changed: set[bytes] = set()

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - as the protocol has it
        """Return the decoded row."""
        raw = self.raw(key)
        return None if raw is None else orjson.loads(raw)

    def raw(self, key: bytes) -> bytes | None:
        """Return the row as it is written."""
        return encoded(self._kept[key]) if key in self._kept else self._written.get(key)

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as above
        """Write a row."""
        self._kept.pop(key, None)
        self._written[key] = encoded(row)
        self.changed.add(key)

    def delete(self, key: bytes) -> None:
        """Delete a row."""
        self._kept.pop(key, None)
        self._written.pop(key, None)
        self.changed.add(key)

    def keep(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as above
        """Put a row that goes on changing."""
        self._kept[key] = row
        self.changed.add(key)

    def kept(self, key: bytes) -> Any:  # noqa: ANN401 - as above
        """Return the object that is kept under a key."""
        if key in self._kept:
            self.changed.add(key)
        return self._kept.get(key)

    def write_kept(self, most: int) -> None:
        """Write the rows that go on changing, as each flush of a worker does, when there are more than so many."""
        if len(self._kept) > most:
            for key, row in self._kept.items():
                self._written[key] = encoded(row)
            self._kept.clear()


class _Table:
    """One stage with its rows."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rows = MemoryRows()
        self._offset = 0

    def take(self, value: bytes) -> list[Output]:
        """Take in a record; return its outputs."""
        self._offset += 1
        return [
            output for piece in self._stage.apply(self._rows, 0, self._offset - 1, value) for output in piece.outputs
        ]

    def settle(self) -> list[Output]:
        """Return the summaries of what changed."""
        outputs = self._stage.summarize(self._rows, 0, self._rows.changed)
        self._rows.changed.clear()
        return outputs


class Rehearsal:
    """Takes envelopes in the order of their receipt. `refused` counts the callbacks that were no callbacks."""

    def __init__(self, policy: Policy, thresholds: Mapping[str, float]) -> None:
        self._sms_stage = SmsStage(policy)
        self._sms = _Table(self._sms_stage)
        self._summing = {CAMPAIGN_PARTIALS: _Table(CampaignStage()), DELIVERY_PARTIALS: _Table(DeliveryStage())}
        self._told = list[Output]()
        self._alarms = _Table(AlarmStage(thresholds))
        self._minute = 0
        self._accepted = self._late = 0
        self.refused = 0

    def alarms(self, envelopes: Iterable[bytes]) -> Iterator[Record]:
        """Yield the records of the alarms; ValueError for an envelope whose time of receipt cannot be read."""
        for envelope in envelopes:
            read = msgspec.json.decode(envelope, type=_Envelope)
            minute = _received(read) // _MINUTE_MS
            yield from self._pass(minute)
            outputs = self._sms.take(envelope)
            self._told += (output for output in outputs if output.topic in self._summing)
            self.refused += sum(output.topic is CALLBACKS_REJECTED for output in outputs)
            self._accepted += len(read.callbacks)
        yield from self._pass(self._minute + 1)

    def _pass(self, minute: int) -> Iterator[Record]:
        """Tell the ticks up to a minute."""
        if not self._minute:
            self._minute = minute
        while self._minute < minute:
            self._told += self._sms.settle()
            lines = [line for topic in self._summing if (line := self._watched(topic))]
            self._told.clear()
            self._minute += 1
            late = self._sms_stage.late(0)
            tick = {"source": "0", "minute": self._minute, "callbacks": self._accepted, "late": late - self._late}
            self._accepted, self._late = 0, late
            for value in (*lines, orjson.dumps(tick)):
                told = [output for output in self._alarms.take(value) if output.topic is DELIVERY_ALARMS]
                yield from (orjson.loads(output.value) for output in told)

    def _watched(self, topic: Topic) -> bytes:
        """Return what the alarms read of the partial counts of a topic."""
        table = self._summing[topic]
        partials = [output.value for output in self._told if output.topic is topic]
        if partials:
            table.take(b"\n".join(partials))
        return b"\n".join(output.value for output in table.settle() if output.topic is DELIVERY_WATCH)


def _received(envelope: _Envelope) -> int:
    received = read_receipt(envelope.received_at)
    if received is None:
        raise ValueError("received_at is no time with a zone")
    return received


def encoded(row: Any) -> bytes:  # noqa: ANN401 - as above
    """Return a row as it is written."""
    return _ENCODER.encode(row)
