"""
SMS by the million in the state of a partition, without a callback read for each.

The rules of streams take in the first SMS of each kind at each moment; the others of that kind are copies of its row
with their own ids, place and generation. The rules also write the rows that all SMS share, for copies, too: counts,
cells, lists of the SMS to forget, stream time. A worker writes the same rows, byte for byte, when it takes in the
envelopes of the same SMS: tests/unit/bench/test_copies.py compares them.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final
from zlib import crc32

from msgspec import Raw, Struct, structs

from streams.contract.codec import format_time_ms
from streams.domain.envelope import Opened
from streams.domain.intake import Begun
from streams.domain.lifecycle import APPLIED
from streams.domain.message import MESSAGE_PREFIX, SMS_PREFIX, Message, as_row, message_key, sms_index_key
from streams.domain.policy import HOUR_MS, Policy
from streams.domain.refusal import Refusal
from streams.domain.sms_stage import PIECE_CALLBACKS, SmsStage, _Gatherer
from streams.domain.stage import Ending, Piece, Rows
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.reserved_keys import PARTITIONS
from streams.state.rows.throttle import Throttle
from tests.bench import callbacks

HOURS: Final = 24
"""The SMS were received evenly in so many hours: less than any retention, so that none is forgotten."""

_MOMENTS_PER_HOUR: Final = 6
"""As many as the buckets of the lists of SMS to forget."""

_UNFINISHED_OF: Final = 10
"""One SMS of so many waits for its final status."""

_DATED_SECONDS_BEFORE: Final = 5
_DIGITS: Final = [b"%x" % digit for digit in range(16)]
_COPY: Final = Raw()
_MAGIC: Final = 7_000_007
"""A number that is in no row, in the place of a number that differs from copy to copy."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """SMS that are received together in one partition: the numbers of the first ones of each record, and their ids."""

    received: int
    first: int
    messages: list[str]

    def envelope(self) -> bytes:
        """Return the raw record that ingest writes for the same SMS."""
        bodies = [_body(self.received, *one) for one in enumerate(self.messages, self.first)]
        return callbacks.envelope_of(bodies, format_time_ms(self.received))


def _body(received: int, number: int, message: str) -> bytes:
    campaign, status = _kind(number)
    return callbacks.body(message, campaign, status, format_time_ms(received - _DATED_SECONDS_BEFORE * 1000))


def _kind(number: int) -> tuple[int, str]:
    place, campaign = divmod(number, callbacks.CAMPAIGNS)
    return campaign, "Delivered" if place % _UNFINISHED_OF else "Queued"


def ids(partition: int, partitions: int, seed: int = 1) -> Iterator[str]:
    """Yield ids of messages of a partition without end, the same for the same seed."""
    chance = random.Random(f"{seed} {partition}")  # noqa: S311 - the same state in every run
    while True:
        digits = chance.randbytes(16).hex()
        begun = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:31]}"
        # The last digit leads to the partition: as `partition_of`, which would try seven more ids out of eight.
        checksum = crc32(begun.encode())
        for last in _DIGITS:
            if crc32(last, checksum) % partitions == partition:
                yield begun + last.decode()
                break


def arrivals(partition: int, partitions: int, count: int, now: int, seed: int = 1) -> Iterator[Arrived]:
    """Yield the records of so many SMS of a partition, received up to `now` (ms), in order."""
    chosen, steps, first = ids(partition, partitions, seed), HOURS * _MOMENTS_PER_HOUR, 0
    for step in range(1, steps + 1):
        received = now - (steps - step) * HOUR_MS // _MOMENTS_PER_HOUR
        end = count * step // steps
        while first < end:
            size = min(PIECE_CALLBACKS, end - first)
            yield Arrived(received, first, [*islice(chosen, size)])
            first += size


class CopiedPartition:
    """
    A partition of the table of the SMS whose rows come from copies.

    `topic_id` is that of the raw topic, `partitions` the number of all. The rows are those after a takeover of a
    partition that had none, in topics that are new.
    """

    def __init__(self, number: int, partitions: int, topic_id: str, policy: Policy | None = None) -> None:
        self._shared: dict[bytes, bytes | None] = {}
        self._stage = CopyingStage(policy or Policy())
        self._partition = Partition(number, self._stage, self._read, Throttle(0.0), Origin(topic_id))
        self._partition.rows.put(PARTITIONS, partitions)
        self._offset = 0

    def take_in(self, arrived: Arrived) -> int:
        """Take in the next record; return the bytes that its rows and those before it take in a batch."""
        self._stage.arrived = arrived
        (size,) = self._partition.take_in(self._offset, b"")
        self._offset += 1
        return size

    def seal(self) -> Mapping[bytes, bytes | None]:
        """Return the rows that changed since the last call, as a flush writes them."""
        rows = self._partition.seal(0.0).rows
        self._shared |= {key: row for key, row in rows.items() if _is_read_again(key)}
        return rows

    def _read(self, key: bytes) -> bytes | None:
        return self._shared.get(key)


def _is_read_again(key: bytes) -> bool:
    """Tell whether a row is one that SMS share: no copy meets another SMS, and a full list is left alone until due."""
    is_full_list = key.startswith(b"x:") and key.count(b":") > 1
    return not (key.startswith((MESSAGE_PREFIX, SMS_PREFIX)) or is_full_list)


class CopyingStage(SmsStage):
    """The rules of `track_sms` for the record in `arrived`; the raw record is not read."""

    arrived: Arrived

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._received = 0
        self._kinds: dict[tuple[int, str], _Copied] = {}

    def apply(  # noqa: PLR0917 - as in Stage
        self,
        rows: Rows,
        partition: int,
        offset: int,
        value: bytes,  # noqa: ARG002
        begin: int = 0,  # noqa: ARG002
        ended: Ending | None = None,  # noqa: ARG002
    ) -> Iterator[Piece]:
        """Take in the record in `arrived`; it has no outputs."""
        if self.arrived.received != self._received:
            self._received, self._kinds = self.arrived.received, {}
        gatherer = _Copier(self._policy_in(rows), rows, partition, offset)
        gatherer.take_copies(self.arrived, self._kinds)
        yield Piece([], None)


class _Copied(Struct, frozen=True):
    """The first SMS of a kind at a moment: its effect, and its row with room for the fields of each copy."""

    begun: Begun
    row: bytes


class _Copier(_Gatherer):
    """Takes in a record of SMS most of which are copies."""

    _arrived: Arrived
    _kinds: dict[tuple[int, str], _Copied]
    _is_first_of: tuple[int, str] | None = None

    def take_copies(self, arrived: Arrived, kinds: dict[tuple[int, str], _Copied]) -> None:
        """Take in a record; `kinds` has the kinds that were seen at this moment before, and is added to."""
        self._arrived, self._kinds = arrived, kinds
        self.take_piece(Opened(arrived.received, [_COPY] * len(arrived.messages), b""), 0)

    def _take_callbacks(self, opened: Opened, begin: int) -> int:
        numbered = enumerate(self._arrived.messages, self._arrived.first)
        for index, (number, message) in enumerate(numbered, begin):
            copied = self._kinds.get(_kind(number))
            if copied is None:
                self._take_first(index, number, message)
            else:
                self._copy(index, message, copied)
        verdicts, end = self._tally["verdicts"], len(opened.callbacks)
        verdicts[APPLIED] = verdicts.get(APPLIED, 0) + end
        return end

    def _take_first(self, index: int, number: int, message: str) -> None:
        self._is_first_of = _kind(number)
        verdict = self._take_guarded(index, Raw(_body(self._received, number, message)))
        if isinstance(verdict, Refusal) or verdict != APPLIED:
            raise ValueError(f"the first SMS of a kind was not taken in: {verdict}")

    def _put_begun(self, key: bytes, begun: Begun) -> None:
        super()._put_begun(key, begun)
        if self._is_first_of is None:
            raise ValueError("two SMS have the same id")
        self._kinds[self._is_first_of] = _Copied(begun, _with_room(begun.message))
        self._is_first_of = None

    def _copy(self, index: int, message: str, copied: _Copied) -> None:
        begun, tally = copied.begun, self._tally
        if begun.counted is not None:
            self._counts_of(begun.counted[0]).enter(begun.counted)
        self._deliveries.enter(begun.message, begun.sent, begun.status)
        generation = tally["generation"] = tally["generation"] + 1
        sms_id, named = message[::-1], message.encode()
        written = sms_id.encode()
        key = message_key(message)
        row = copied.row % (named, written, written, self._partition, self._offset, index, generation)
        self._rows.put(key, Raw(row))
        self._new_keys.setdefault(begun.message.touched, []).append(key.decode())
        index_key = sms_index_key(message, sms_id)
        if index_key is not None:
            self._rows.put(index_key, message)


def _with_room(message: Message) -> bytes:
    """Return the row of a message as a format: its id, that of its SMS twice, its place, and its generation."""
    (sms,) = message.parts
    placed = structs.replace(sms, place=[_MAGIC, _MAGIC, _MAGIC])
    row = bytes(as_row(structs.replace(message, parts=[placed], generation=_MAGIC))).replace(b"%", b"%%")
    number = b"%d" % _MAGIC
    for text, room, times in (
        (message.message_id.encode(), b"%b", 1),
        (message.message_id[::-1].encode(), b"%b", 2),
        (number, b"%d", 4),
    ):
        if row.count(text) != times:
            raise ValueError(f"the row of a message has its own {text!r} {row.count(text)} times, not {times}")
        row = row.replace(text, room)
    return row
