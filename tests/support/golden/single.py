"""
The outcome of a single version with all callbacks, from the beginning or from stored rows on: in memory, no worker.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from tests.support.golden.product import (
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PREFIX,
    GENERATION_KEY,
    HELD,
    MESSAGE_PREFIX,
    POSITION,
    SMS_STATUS,
    CampaignStage,
    Output,
    Policy,
    Position,
    SmsStage,
    campaign_view,
    message_view,
    read_tally,
)
from tests.support.golden.stored import Golden, Stored
from tests.support.golden.traffic import FUTURE, RETENTION_HOURS, Record
from tests.support.memory_rows import MemoryRows, outputs_of

KeyValue = tuple[bytes | None, bytes | None]


def position_of(golden: Golden, table: str, partition: int) -> Position:
    """Return how far the stored rows of a partition have come in their source."""
    written = golden.rows(table).get(partition, {}).get(POSITION)
    return Position(0) if written is None else Position.parse(written)


def placed(golden: Golden, later: Iterable[Record]) -> Iterator[Stored]:
    """Yield the stored source records, and what comes after them, with their offsets."""
    ends = dict.fromkeys(range(golden.partitions), 0)
    for record in golden.records("callbacks.raw"):
        ends[record.partition] = record.offset + 1
        yield record
    for partition, value in later:
        yield Stored(partition, ends[partition], None, value)
        ends[partition] += 1


BUCKET_PREFIX: Final = b"x:"
CELL_PREFIXES: Final = (b"d:", b"w:", b"o:")


class Single:
    """Both stages over rows in memory: those of the SMS by partition, those of the campaigns together."""

    def __init__(self, golden: Golden) -> None:
        """Begin without rows, with the generation of the stored ones, whose records are taken in as they were then."""
        self._golden = golden
        self._stage, self._campaign_stage = SmsStage(Policy()), CampaignStage()
        self._stage_of_then = SmsStage(Policy(retention_hours=RETENTION_HOURS))
        self.sms = {number: MemoryRows() for number in range(golden.partitions)}
        self.campaigns = MemoryRows()
        self.told: dict[int, list[KeyValue]] = {number: [] for number in self.sms}
        """Partition → records of sms.status, in order."""
        self.rejected: list[dict[str, Any]] = []
        self._partials = 1_000
        self._stored_until = {number: position_of(golden, "sms", number).offset for number in self.sms}
        for number, rows in golden.memory("sms").items():
            self.sms[number].put(GENERATION_KEY, rows.get(GENERATION_KEY) or 0)

    @classmethod
    def on_from(cls, golden: Golden) -> "Single":
        """Begin with the stored rows, their held-back campaigns, and the partial counts that they do not contain."""
        single = cls(golden)
        single.sms = golden.memory("sms")
        for rows in golden.memory("campaigns").values():
            for key, row in rows.with_prefix(CAMPAIGN_PREFIX).items():
                single.campaigns.put(key, row)
        for record in golden.records("campaign.partials"):
            if record.offset >= position_of(golden, "campaigns", record.partition).offset:
                single._take_partials(record.value or b"")
        for number, rows in single.sms.items():
            rows.changed |= {key.removeprefix(HELD) for key in rows.written if key.startswith(HELD)}
            single._summarize(number)
        return single

    def take_in(self, records: Iterable[Stored]) -> "Single":
        """Take in source records in order, but not what the rows contain already."""
        for record in records:
            rows, number = self.sms[record.partition], record.partition
            written = rows.raw(POSITION)
            position = Position(0) if written is None else Position.parse(written)
            if record.offset < position.offset:
                continue
            begin = position.taken if record.offset == position.offset else 0
            stage = self._stage_of_then if record.offset < self._stored_until[number] else self._stage
            self._note(number, outputs_of(stage.apply(rows, number, record.offset, record.value or b"", begin)))
            self._summarize(number)
        return self

    def _note(self, number: int, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if output.topic is SMS_STATUS:
                self.told[number].append((output.key, output.value))
            elif output.topic is CALLBACKS_REJECTED:
                self.rejected.append(orjson.loads(output.value))
            elif output.topic is CAMPAIGN_PARTIALS:
                self._take_partials(output.value)

    def _summarize(self, number: int) -> None:
        rows = self.sms[number]
        self._note(number, self._stage.summarize(rows, number, rows.changed))
        rows.changed.clear()

    def _take_partials(self, value: bytes) -> None:
        self._partials += 1
        outputs = outputs_of(self._campaign_stage.apply(self.campaigns, 0, self._partials, value))
        self.rejected += [orjson.loads(output.value) for output in outputs]

    @property
    def state(self) -> dict[str, Any]:
        """Return all that can be seen of the rows, but of campaigns the number of the revision."""
        return {**sms_state(self.sms), **campaign_state([self.campaigns])}


def sms_state(partitions: dict[int, MemoryRows]) -> dict[str, Any]:
    """
    Return all that can be seen of the rows of the SMS: messages, totals, which messages are listed, and other keys.

    In which bucket a message is listed may differ by a moment between versions, and so may how far was forgotten. Cells
    of deliveries are left out: SMS that 0.1.0 took in are in none.
    """
    state: dict[str, Any] = {}
    for number, rows in partitions.items():
        unlike = {"generation": None, "forgotten": None, "forgotten_at": None, "first_window": None}
        state[f"tally {number}"] = {**read_tally(rows), **unlike}
        state[f"listed {number}"] = sorted(_listed(rows))
        for key in rows.written:
            if key.startswith(MESSAGE_PREFIX):
                state[f"{number} {key.decode()}"] = comparable(message_view(rows, key) or {})
            elif key[:1] != b"\0" and not key.startswith((BUCKET_PREFIX, *CELL_PREFIXES)):
                state[f"{number} {key.decode()}"] = "there"
    return state


def comparable(view: dict[str, Any]) -> dict[str, Any]:
    """
    Return the view of a message without values that the rows of some versions do not tell.

    These are the generation, the status before the last change, and times in the future.
    """
    view = {name: value for name, value in view.items() if name not in {"generation", "previous_status"}}
    unlike = {"generation": None, "message_previous_status": None}
    if view["message_id"] == FUTURE:
        unlike |= {"status_updated_at": None, "sent_at": None, "sending_at": None, "sent_from": None}
    view["sms"] = [{**sms, **unlike} for sms in view["sms"]]
    return view


def without_generation(told: list[KeyValue]) -> list[tuple[bytes | None, dict[str, Any]]]:
    """Return records of sms.status as they would be in any generation; rows of 0.1.0 have none."""
    return [(key, {**orjson.loads(value or b""), "generation": None}) for key, value in told]


def _listed(rows: MemoryRows) -> Iterator[str]:
    """Yield the messages in the buckets of the expiry index: in their open chunks, and in full ones."""
    for key in rows.written:
        if key.startswith(BUCKET_PREFIX):
            row = rows.get(key)
            yield from row[1] if key.count(b":") == 1 else row


def campaign_state(partitions: Iterable[MemoryRows]) -> dict[str, Any]:
    """Return all that can be seen of campaigns but their generation and the revision: how often they were told."""
    return {
        key.decode(): {**(campaign_view(rows, key) or {}), "revision": 0, "generation": 0}
        for rows in partitions
        for key in rows.written
        if key.startswith(CAMPAIGN_PREFIX)
    }
