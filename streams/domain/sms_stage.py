"""
Stage 1, `track_sms`: envelopes of callbacks become SMS revisions, rejections and partial counts per campaign.

Order of the outputs is the order of the callbacks. Each callback gets exactly one verdict. Nearly every envelope is
taken in as one piece; a large one is taken in as if it were several, received at the same time.
"""

from collections.abc import Collection, Iterator
from traceback import extract_tb
from typing import Any, ClassVar, Final

import orjson
from msgspec import Raw
from msgspec.json import Encoder

from streams.contract.records import Reason
from streams.contract.topics import CAMPAIGN_PARTIALS, SMS_STATUS
from streams.domain.callback import Callback, callback_of, read_callback
from streams.domain.counts import COUNTS_PREFIX, Tallying, counts_key, no_counts
from streams.domain.envelope import Opened, open_envelope
from streams.domain.expiry import advanced, bucket_of, forget_due, list_keys, note_leap, receive, stream_time
from streams.domain.lifecycle import sms_record
from streams.domain.message import (
    Contribution,
    Message,
    contribution,
    message_key,
    read_message,
    sms_index_key,
    take,
    withheld,
)
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.rejection import rejection
from streams.domain.report import Read, read_report
from streams.domain.routee.shapes import REPORT, SMS, Body, shape_of
from streams.domain.routee.wire import read_wire
from streams.domain.stage import GENERATION_KEY, PIECE_BYTES, Output, Piece, Rows
from streams.domain.tally import count, keep_tally

REPORTED: Final = "report"
REJECTED: Final = "rejected"

PIECE_CALLBACKS: Final = 250
"""In one piece: whoever shares the event loop waits for it."""

# Twice what a piece can add, so that forgetting always catches up, and a little for envelopes of one.
_EXPIRY_PER_CALLBACK: Final = 2
_EXPIRY_PER_PIECE: Final = 16

_ENCODER: Final = Encoder()


class SmsStage:
    """The rules of `track_sms`; a `Stage`."""

    summarized: ClassVar = COUNTS_PREFIX

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def apply(self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0) -> Iterator[Piece]:
        """Take in one envelope of `routee.callbacks.raw`, or its callbacks from `begin` on."""
        opened = open_envelope(value)
        if isinstance(opened, Refusal):
            yield Piece(_Intake(self._policy, rows, partition, offset).refuse(opened, value), None)
            return
        left: int | None = begin
        while left is not None:
            intake = _Intake(self._policy, rows, partition, offset)
            left = intake.take_piece(opened, left)
            yield Piece(intake.outputs, left)

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """Return one partial per campaign whose counts changed: absolute numbers, with what tells the newer of two."""
        outputs = []
        generation = rows.get(GENERATION_KEY) or 0
        for key in sorted(key for key in changed if key.startswith(COUNTS_PREFIX)):
            counts = rows.get(key)
            if counts is not None:
                value = orjson.dumps({"partition": partition, "generation": generation, "counts": counts})
                outputs.append(Output(CAMPAIGN_PARTIALS, key.removeprefix(COUNTS_PREFIX), value))
        return outputs


class _Intake:
    """A piece of an envelope on its way in: what changes many times is gathered here and put into the rows once."""

    def __init__(self, policy: Policy, rows: Rows, partition: int, offset: int) -> None:
        self._policy = policy
        self._withholds = policy.withholds
        self._rows = rows
        self._partition = partition
        self._offset = offset
        self._tally = keep_tally(rows)
        self._received = 0
        self._touched_bytes = 0
        self._campaigns: dict[str, Tallying] = {}
        self._counts: dict[bytes, Tallying] = {}
        self._new_keys: list[str] = []
        self.outputs: list[Output] = []

    def refuse(self, refusal: Refusal, value: bytes) -> list[Output]:
        """Reject a record that is no envelope, as one callback; return the outputs."""
        self._tally["accepted"] += 1
        self._received = stream_time(self._tally)
        self._reject(refusal, value, 0)
        return self.outputs

    def take_piece(self, opened: Opened, begin: int) -> int | None:
        """Take in a piece that begins with this callback; return where the next begins."""
        tally, self._received = self._tally, opened.received
        before = stream_time(tally)
        end = self._take_callbacks(opened.bodies, begin)
        tally["accepted"] += end - begin
        # Last: a date among the callbacks is the better witness.
        receive(tally, opened.received)
        note_leap(self._rows, before, stream_time(tally), self._policy.retention_ms)
        self._expire(end - begin)
        for counts in self._counts.values():
            counts.reach(self._received, self._offset, end)
        return end if end < len(opened.bodies) else None

    def _take_callbacks(self, bodies: list[Raw], begin: int) -> int:
        """Take in the callbacks of a piece; return the index after the last of them."""
        verdicts = self._tally["verdicts"]
        for index, body in enumerate(bodies[begin : begin + PIECE_CALLBACKS], begin):
            outcome = self._take_guarded(index, body)
            if outcome.__class__ is Refusal:
                self._reject(outcome, bytes(body), index)
            else:
                count(verdicts, outcome)
            if self._touched_bytes > PIECE_BYTES:
                return index + 1
        return min(begin + PIECE_CALLBACKS, len(bodies))

    def _take_guarded(self, index: int, body: Raw) -> Any:  # noqa: ANN401 - str | Refusal, told apart by the caller
        try:
            sms = read_wire(body)
            if sms is None:
                return self._take_unusual(index, body)
            return self._take_sms(index, callback_of(sms, self._received, self._policy))
        except Exception as error:  # noqa: BLE001
            # The one broad except: Faust acknowledges an event whose agent raised, and without the acknowledgement
            # one body that meets a bug would stop its partition for good. So the bug is told where every refusal
            # is told, with the body to reproduce it, and all other callbacks go on. Only the kind and the place of
            # the error are written: its text may quote the callback.
            frame = extract_tb(error.__traceback__)[-1]
            return Refusal(Reason.BUG, f"{type(error).__name__} in {frame.name}, line {frame.lineno}")

    def _take_unusual(self, index: int, raw: Raw) -> str | Refusal:
        """Take in a report, or a callback that is not in the documented form."""
        try:
            body = orjson.loads(memoryview(raw))
        except orjson.JSONDecodeError:
            return Refusal(Reason.NOT_JSON, "expected JSON")
        if body.__class__ is not dict:
            return Refusal(Reason.NOT_OBJECT, "expected a JSON object")
        shape = shape_of(body)
        if shape == SMS:
            return self._take_sms(index, read_callback(body, self._received, self._policy))
        if shape == REPORT:
            return self._take_report(index, body)
        return Refusal(Reason.UNKNOWN_SHAPE, shape)

    def _take_report(self, index: int, body: Body) -> str | Refusal:
        read = read_report(body)
        if isinstance(read, Refusal):
            return read
        self.outputs.append(self._report_output(index, read))
        if read.notes:
            self._note(read.notes)
        return REPORTED

    def _report_output(self, index: int, read: Read) -> Output:
        value = {
            "partition": self._partition,
            "generation": self._rows.get(GENERATION_KEY) or 0,
            "campaign": read.campaign,
            "place": [self._partition, self._offset, index],
            "received": self._received,
            "report": read.report,
        }
        return Output(CAMPAIGN_PARTIALS, read.campaign.lower().encode(), orjson.dumps(value))

    def _take_sms(self, index: int, callback: Callback | Refusal) -> str | Refusal:
        if isinstance(callback, Refusal):
            return callback
        key = message_key(callback.message_id)
        before = found = self._found(key)
        if found is not None and self._withholds:
            before = withheld(found, self._policy)
        if callback.date:
            self._tally["clock"] = advanced(self._tally["clock"], callback.date, self._received)
        if before is None and self._is_expired(callback):
            hours = self._policy.retention_hours
            return Refusal(Reason.EXPIRED, f"status.updatedDate: over {hours} h old, of a message that is not known")
        place = [self._partition, self._offset, index]
        taken = take(self._touched(before, callback), callback, self._received, place, self._policy.conflicting_finals)
        if isinstance(taken, Refusal):
            return taken
        after, (sms, verdict, visible) = taken
        if visible:
            value = _ENCODER.encode(sms_record(after.message_id, sms))
            moved = None if before is None else contribution(before), contribution(after)
            # Nothing above changes anything and nothing below can fail: a bug leaves out a callback as a whole.
            self._move(*moved)
            self.outputs.append(Output(SMS_STATUS, sms.key.encode(), value))
        if after is not found:
            self._rows.put(key, after)
        if before is None or len(after.parts) > len(before.parts):
            self._list(key, before, after.message_id, sms.key)
        if callback.notes:
            self._note(callback.notes)
        return verdict

    def _found(self, key: bytes) -> Message | None:
        raw = self._rows.raw(key)
        if raw is None:
            return None
        self._touched_bytes += len(raw)
        return read_message(raw)

    def _list(self, key: bytes, before: Message | None, message_id: str, sms_key: str) -> None:
        """Let a new message be forgotten some day, and a new SMS of it be found."""
        if before is None:
            self._new_keys.append(key.decode())
        index_key = sms_index_key(message_id, sms_key)
        if index_key is not None:
            self._rows.put(index_key, message_id)

    def _is_expired(self, callback: Callback) -> bool:
        """
        Tell whether a callback is too old for its message to be a new one: it may have been counted before.

        Whatever was forgotten was last heard of the retention ago, in the same stream time: its old callbacks are
        all refused here.
        """
        return bool(callback.date) and callback.date + self._policy.retention_ms < self._tally["clock"]

    def _touched(self, message: Message | None, callback: Callback) -> Message:
        bucket = bucket_of(self._tally["clock"] or stream_time(self._tally) or self._received)
        if message is None:
            return Message(callback.message_id, bucket, [])
        return message if message.touched == bucket else Message(message.message_id, bucket, message.parts)

    def _move(self, before: Contribution | None, after: Contribution | None) -> None:
        if before == after:
            return
        if before is not None and after is not None and before[0] == after[0]:
            self._counts_of(after[0]).move(before, after)
            return
        if before is not None:
            self._counts_of(before[0]).move(before, None)
        if after is not None:
            self._counts_of(after[0]).move(None, after)

    def _counts_of(self, campaign: str) -> Tallying:
        counts = self._campaigns.get(campaign)
        if counts is None:
            key = counts_key(campaign)
            counts = self._counts.get(key)
            if counts is None:
                counts = self._counts[key] = self._kept_counts(key, campaign)
                self._touched_bytes += counts.size
            self._campaigns[campaign] = counts
        return counts

    def _kept_counts(self, key: bytes, campaign: str) -> Tallying:
        counts: Tallying | None = self._rows.kept(key)
        if counts is None:
            counts = Tallying(self._rows.get(key) or no_counts(campaign, self._received))
            self._rows.keep(key, counts)
        return counts

    def _note(self, notes: list[str]) -> None:
        for note in notes:
            count(self._tally["notes"], note)

    def _reject(self, refusal: Refusal, body: bytes, index: int) -> None:
        count(self._tally["verdicts"], REJECTED)
        count(self._tally["rejected"], refusal.reason.value)
        place = (self._partition, self._offset, index)
        self.outputs.append(rejection(refusal, body, self._received, place))

    def _expire(self, callbacks: int) -> None:
        tally, clock = self._tally, stream_time(self._tally)
        if self._new_keys:
            list_keys(self._rows, bucket_of(clock), self._new_keys)
        budget = _EXPIRY_PER_CALLBACK * callbacks + _EXPIRY_PER_PIECE
        # The first date may lie before what stood for time until then.
        oldest = min(tally["oldest"] or bucket_of(clock), bucket_of(clock))
        tally["oldest"] = forget_due(self._rows, oldest, clock, self._policy.retention_ms, budget)
