"""
Stage 1, `track_sms`: turns envelopes of callbacks into SMS revisions, rejections and partial counts per campaign.

The outputs are in the order of the callbacks, and each callback gets exactly one verdict. Nearly every envelope is one
piece. A large one is several, all with the same time of receipt; stream time advances by it after the last.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from traceback import extract_tb
from typing import ClassVar, Final

import orjson
from msgspec import Raw, structs

from streams.contract.personal import Kept
from streams.contract.records import Reason
from streams.contract.topics import CAMPAIGN_PARTIALS
from streams.domain.callback import POSTED, Callback
from streams.domain.cells import CELL_PREFIX, cell_key
from streams.domain.counts import COUNTS_PREFIX, Tallying, begun_counts, counts_key, counts_of, last_change
from streams.domain.deliveries import Deliveries
from streams.domain.delivery_partials import changed_cells, closed_cells
from streams.domain.envelope import Opened, Repaired, open_envelope
from streams.domain.erasing import erase_before, may_be_covered
from streams.domain.expiry import (
    BUCKET_MS,
    bring_back,
    bucket_of,
    forget_due,
    forgotten_before,
    list_keys,
    note_forgotten,
    pass_moment,
    receive,
    silent_before,
    stream_time,
)
from streams.domain.intake import Begun, Moment, Taken, begin, take
from streams.domain.lifecycle import APPLIED
from streams.domain.message import Contribution, Message, as_row, contribution, message_key, read_message
from streams.domain.policy import HOUR_MS, Erased, Policy
from streams.domain.privacy import withholding_of
from streams.domain.refusal import Refusal
from streams.domain.rejection import kept_of, rejection
from streams.domain.routee.bodies import dates_in, read_body
from streams.domain.routee.campaign_report import Read
from streams.domain.routee.wire import PlainSms
from streams.domain.row_forms import LaterFields
from streams.domain.stage import GENERATION_KEY, PIECE_BYTES, Ending, Output, Piece, Rows, UnfinishedError
from streams.domain.tally import TALLY_KEY, count, keep_tally, read_tally

_DAY: Final = 24 * HOUR_MS // BUCKET_MS
"""In buckets."""
_SOON: Final = 0.75
"""Of the time for which counts are kept: within it of their end, a message that goes on touches them."""

REPORTED: Final = "report"
REJECTED: Final = "rejected"

PIECE_CALLBACKS: Final = 250
"""The most callbacks in one piece: everything else in the event loop waits for a piece."""

# Expire at least twice as many messages as a record can add, so the backlog always shrinks, also with envelopes of one.
_EXPIRY_PER_CALLBACK: Final = 2
_EXPIRY_PER_RECORD: Final = 16

_LATE_MS: Final = 60_000
"""A callback that is received so long after the date of its status is late."""


class SmsStage:
    """The rules of `track_sms`; a `Stage`."""

    summarized: ClassVar[tuple[bytes, ...]] = (COUNTS_PREFIX, CELL_PREFIX)
    forgettable: ClassVar[bytes | None] = COUNTS_PREFIX

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._erasing = policy
        self._late: dict[int, int] = {}

    def late(self, partition: int) -> int:
        """
        Return how many callbacks of a partition came late since this worker began.

        The ticks of the alarms tell it: when most callbacks are late, SMS only look as if they hung.
        """
        return self._late.get(partition, 0)

    def apply(  # noqa: PLR0913, PLR0917 - as in Stage
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        """Take in one envelope of `routee.callbacks.raw`, or its callbacks from `begin` on."""
        opened = _opened(value, ended)
        if isinstance(opened, Refusal):
            yield Piece(_Gatherer(self._policy_in(rows), rows, partition, offset).refuse(opened, value), None)
            return
        left: int | None = begin
        while left is not None:
            gatherer = _Gatherer(self._policy_in(rows), rows, partition, offset, ended)
            left = gatherer.take_piece(opened, left)
            if gatherer.late:
                self._late[partition] = self.late(partition) + gatherer.late
            yield Piece(gatherer.outputs, left)

    def _policy_in(self, rows: Rows) -> Policy:
        """Return the policy with the erasures that hold in the rows."""
        if rows.erased is None:
            return self._policy
        if self._erasing.erased is not rows.erased:
            self._erasing = replace(self._policy, erased=rows.erased)
        return self._erasing

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """Return one partial per campaign and per cell with changed counts, with the fields that order partials."""
        outputs = []
        generation = rows.get(GENERATION_KEY) or 0
        for key in sorted(key for key in changed if key.startswith(COUNTS_PREFIX)):
            counts = rows.raw(key)
            if counts is not None:
                value = b'{"partition":%d,"generation":%d,"counts":%b}' % (partition, generation, counts)
                outputs.append(Output(CAMPAIGN_PARTIALS, key.removeprefix(COUNTS_PREFIX), value))
        return outputs + changed_cells(rows, partition, changed)

    def forget(self, rows: Rows, keys: Iterable[bytes]) -> int:
        """Delete the counts that are over."""
        tally = rows.kept(TALLY_KEY) or read_tally(rows)
        before = silent_before(tally, self._policy.retention_ms, self._policy.silence_ms)
        over = [key for key in keys if (counts := rows.get(key)) is not None and last_change(counts) < before]
        for key in over:
            rows.delete(key)
        return len(over)


def _opened(value: bytes, ended: Ending | None) -> Opened | Refusal:
    """Return the content of a record; the refusal of one that ended workers even by being opened."""
    try:
        return open_envelope(value)
    except (MemoryError, RecursionError):
        if ended is None:
            raise
        return _ended_refusal(ended, "envelope: ")


def _ended_refusal(ended: Ending, of: str = "") -> Refusal:
    return Refusal(Reason.BUG, f"{of}it ended a worker {ended.times} times in a row")


class _Gatherer:
    """Writes the effects of one piece's callbacks to the rows; a row that changes many times is put once."""

    def __init__(self, policy: Policy, rows: Rows, partition: int, offset: int, ended: Ending | None = None) -> None:
        self._policy = policy
        self._rows = rows
        self._partition = partition
        self._offset = offset
        self._ended = ended
        self._tally = keep_tally(rows)
        self._tally["forgotten"] = forgotten_before(self._tally)
        self._silent_before = silent_before(self._tally, policy.retention_ms, policy.silence_ms)
        self._received = 0
        self._now: Moment | None = None
        """Until stream time passes."""
        self._origin = POSTED
        self._touched_bytes = 0
        self._campaigns: dict[str, Tallying] = {}
        self._counts: dict[bytes, Tallying] = {}
        self._new_keys: dict[int, list[str]] = {}
        self._deliveries = Deliveries(policy.delivery_cells, rows, self._tally)
        self.late = 0
        self.outputs: list[Output] = []

    def refuse(self, refusal: Refusal, value: bytes) -> list[Output]:
        """Reject a whole record, counted as one callback; return the outputs."""
        self._accept(1)
        self._received = stream_time(self._tally)
        self._reject(refusal, value, 0)
        return self.outputs

    def take_piece(self, opened: Opened, begin: int) -> int | None:
        """Take in the piece that begins at callback `begin`; return where the next one begins, None after the last."""
        self._received = opened.received
        self._origin = opened.origin
        end = self._take_callbacks(opened, begin)
        if opened.repaired:
            self._note_repairs(opened.repaired, range(begin, end))
        self._accept(end - begin)
        self._list_new()
        self._deliveries.reach(self._offset, end)
        # Time does not pass with a record that ended workers at no callback: that may be where it ended them.
        if end == len(opened.callbacks) and (self._ended is None or self._ended.at is not None):
            self._let_time_pass(end)
        for counts in self._counts.values():
            counts.reach(self._received, self._offset, end, self._tally["clock"])
        return end if end < len(opened.callbacks) else None

    def _accept(self, callbacks: int) -> None:
        self._tally["accepted"] += callbacks
        self._tally["forgotten_at"] = self._tally["accepted"]

    def _note_repairs(self, repaired: Mapping[int, Repaired], places: range) -> None:
        for index, note in repaired.items():
            if index in places:
                self._note(note.names)

    def _take_callbacks(self, opened: Opened, begin: int) -> int:
        """Take in the callbacks of a piece; return the index after the last."""
        callbacks, verdicts = opened.callbacks, self._tally["verdicts"]
        for index, body in enumerate(callbacks[begin : begin + PIECE_CALLBACKS], begin):
            outcome = self._take_guarded(index, body)
            if isinstance(outcome, str):
                try:
                    verdicts[outcome] += 1
                except KeyError:
                    verdicts[outcome] = 1
            else:
                self._reject(outcome, bytes(opened.bodies[index]), index, opened.posted(index))
            if self._touched_bytes > PIECE_BYTES:
                return index + 1
        return min(begin + PIECE_CALLBACKS, len(callbacks))

    def _take_guarded(self, index: int, body: Raw | PlainSms) -> str | Refusal:
        """Take in one callback; return the verdict on it, a refusal `bug` when our code fails on it."""
        if self._ended is not None and self._ended.at in (None, index):
            return _ended_refusal(self._ended)
        try:
            read = read_body(body, self._received, self._policy)
            if isinstance(read, Callback):
                # Routee posted it, nearly always.
                return self._take_sms(index, structs.replace(read, origin=self._origin) if self._origin else read)
            return read if isinstance(read, Refusal) else self._take_report(index, read)
        except (MemoryError, RecursionError) as error:
            # The worker is at its limits, and the callback may be good: the next worker takes it again.
            raise UnfinishedError(index) from error
        except Exception as error:  # noqa: BLE001
            # The one broad except: Faust acknowledges an event whose agent raised, and without the acknowledgement
            # one body that meets a bug would stop its partition for good. So a bug becomes a rejection like any other,
            # with the body to reproduce it, and all other callbacks go on. The rejection has only the error's type and
            # place: its text may quote the callback.
            frame = extract_tb(error.__traceback__)[-1]
            return Refusal(Reason.BUG, f"{type(error).__name__} in {frame.name}, line {frame.lineno}")

    def _take_report(self, index: int, read: Read) -> str:
        value = {
            "partition": self._partition,
            "generation": self._rows.get(GENERATION_KEY) or 0,
            "campaign": read.campaign,
            "place": [self._partition, self._offset, index],
            "received": self._received,
            "report": read.report,
            "clock": self._tally["clock"],
        }
        self.outputs.append(Output(CAMPAIGN_PARTIALS, read.campaign.lower().encode(), orjson.dumps(value)))
        self._note(read.notes)
        return REPORTED

    def _take_sms(self, index: int, callback: Callback) -> str | Refusal:
        key = message_key(callback.message_id)
        found, later, size = None, None, 0
        written = self._rows.raw(key)
        if written is not None:
            size = len(written)
            self._touched_bytes += size
            found, later = read_message(written)
        erased = self._policy.erased
        if erased is not None and may_be_covered(callback, found, self._received, erased.latest):
            callback, found = self._erase_before(erased, callback, found, later)
        date, received, tally = callback.date, self._received, self._tally
        if 0 < date < received - _LATE_MS:
            self.late += 1
        if received > tally["clock"] < date:
            pass_moment(self._rows, tally, min(received, date), self._policy.retention_ms)
            self._now = None
        moment, place = self._now, [self._partition, self._offset, index]
        if moment is None or moment.latest < date:
            moment = self._moment(date)
        # Nothing in `begin` and `take` changes the rows and nothing after them can fail: a bug leaves out the whole
        # callback.
        if found is None:
            begun = begin(callback, moment, place, tally["generation"] + 1, erased)
            if isinstance(begun, Refusal):
                return begun
            self._put_begun(key, begun)
            verdict = APPLIED
        else:
            taken = take(callback, found, size, moment, place, self._policy)
            if isinstance(taken, Refusal):
                return taken
            self._put(key, found, taken, later)
            verdict = taken.verdict
        if callback.notes:
            self._note(callback.notes)
        return verdict

    def _erase_before(
        self, erased: Erased, callback: Callback, found: Message | None, later: LaterFields | None
    ) -> tuple[Callback, Message | None]:
        """Return a callback and its message without erased data; a message that loses any is written."""
        callback, message, outputs = erase_before(callback, found, self._received, erased)
        if message is not None and found is not None and message is not found:
            self._deliveries.erase(found, message)
            key = message_key(message.message_id)
            self._rows.put(key, message if later is None else later.added_to(message))
            self.outputs += outputs
        return callback, message

    def _moment(self, date: int) -> Moment:
        """Return the moment at which a callback with this date comes: nearly always that of the one before."""
        moment = self._now
        if moment is None:
            clock = self._tally["clock"]
            moment = self._now = self._moment_at(clock or stream_time(self._tally) or self._received)
        if moment.latest < date <= moment.latest + self._policy.retention_ms:
            return self._moment_at(date)
        return moment

    def _moment_at(self, touched: int) -> Moment:
        """Return the present moment for callbacks that touch their messages at this stream time (ms)."""
        clock, forgotten = self._tally["clock"], self._tally["forgotten"]
        return Moment(self._received, clock, forgotten, touched // BUCKET_MS, touched)

    def _put_begun(self, key: bytes, begun: Begun) -> None:
        """Write a new message."""
        message = begun.message
        if begun.counted is not None:
            self._counts_of(begun.counted[0]).enter(begun.counted)
        self.outputs.append(begun.output)
        self._deliveries.enter(message, begun.sent, begun.status)
        self._rows.put(key, message)
        self._tally["generation"] = message.generation
        # A message that is not listed would never be forgotten.
        self._new_keys.setdefault(message.touched, []).append(key.decode())
        if begun.index_key is not None:
            self._rows.put(begun.index_key, message.message_id)

    def _put(self, key: bytes, found: Message, taken: Taken, later: LaterFields | None) -> None:
        """Write a message that was known."""
        message, row = taken.message, taken.row
        if taken.output is not None:
            self._move(taken.before, taken.after)
            self.outputs.append(taken.output)
        if row is not None:
            if self._deliveries.move(found, taken) and isinstance(row, Raw):
                row = as_row(message)
            self._rows.put(key, row if later is None else later.added_to(message))
            if found.touched // _DAY != message.touched // _DAY and taken.before == taken.after:
                self._keep_counts_of(message)
            if taken.index_key is not None:
                self._rows.put(taken.index_key, message.message_id)

    def _move(self, before: Contribution | None, after: Contribution | None) -> None:
        if before == after:
            return
        if before is not None and after is not None and before[0] == after[0]:
            self._counts_of(after[0]).move(before, after)
            return
        if before is not None:
            self._counts_of(before[0]).add(before, -1)
        if after is not None:
            self._counts_of(after[0]).add(after, 1)

    def _keep_counts_of(self, message: Message) -> None:
        """Touch the counts that a message is in, long before they are over: callbacks may keep it without a move."""
        counted = contribution(message, message.status)
        if counted is not None and counted[0] not in self._campaigns:
            key = counts_key(counted[0])
            counts: Tallying | None = self._rows.kept(key) or self._written_counts(key, counted[0])
            if counts is not None and counts.last_change < self._silent_before + _SOON * self._policy.silence_ms:
                self._counts_of(counted[0])

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
        kept: Tallying | None = self._rows.kept(key)
        counts = self._written_counts(key, campaign) if kept is None else kept
        if counts is None or counts.is_over(self._silent_before):
            counts = Tallying(begun_counts(campaign, self._received, self._offset))
        if counts is not kept:
            self._rows.keep(key, counts)
        return counts

    def _written_counts(self, key: bytes, campaign: str) -> Tallying | None:
        row = self._rows.get(key)
        return None if row is None else Tallying(counts_of(row, campaign, self._received))

    def _note(self, notes: list[str]) -> None:
        for note in notes:
            count(self._tally["notes"], note)

    def _reject(self, refusal: Refusal, body: bytes, index: int, posted: bytes | None = None) -> None:
        count(self._tally["verdicts"], REJECTED)
        count(self._tally["rejected"], refusal.reason.value)
        place = (self._partition, self._offset, index)
        withholding = withholding_of(self._policy)
        if refusal.of_code:
            withholding = withholding._replace(drops_texts=True)
        kept = kept_of(posted, body, withholding)
        if self._is_erased(body) or (posted is not None and self._is_erased(posted)):
            kept = Kept(b"", redacted=True)
        self.outputs.append(rejection(refusal, kept, self._received, place))

    def _is_erased(self, body: bytes) -> bool:
        """Tell whether a refused body names a recipient whose erasure covers it."""
        erased = self._policy.erased
        return erased is not None and erased.covers_body(body, (self._received, *dates_in(body)))

    def _list_new(self) -> None:
        """List the new messages, each in the bucket in which it was touched."""
        for bucket, keys in self._new_keys.items():
            list_keys(self._rows, bucket, keys)
            # The first date may lie before the makeshift time.
            self._tally["oldest"] = min(self._tally["oldest"] or bucket, bucket)

    def _let_time_pass(self, callbacks: int) -> None:
        """Advance stream time by a record of `callbacks` callbacks, and forget messages that are due."""
        tally = self._tally
        # After the callbacks, because a date among them confirms the time of receipt, or limits it.
        receive(tally, self._received)
        note_forgotten(tally, self._policy.retention_ms)
        clock = stream_time(tally)
        budget = _EXPIRY_PER_CALLBACK * callbacks + _EXPIRY_PER_RECORD
        if "ahead" in tally:
            budget = bring_back(self._rows, tally, self._policy.retention_ms, budget)
        oldest = min(tally["oldest"] or bucket_of(clock), bucket_of(clock))
        tally["oldest"] = forget_due(self._rows, oldest, clock, self._policy.retention_ms, budget)
        closed = self._deliveries.close_due(budget)
        if closed:
            self.outputs += closed_cells(self._rows, self._partition, closed, self._offset, callbacks)
        for name in closed:
            self._rows.delete(cell_key(name))
