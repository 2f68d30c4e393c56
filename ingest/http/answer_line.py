"""
The answers of one connection: they become known in any order, and are given in the order of its requests.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from ingest.clock import Clock
from ingest.commit.lane import Outcome, Waiter
from ingest.http.answers import Answer, Answers
from ingest.http.limits import Limits
from ingest.http.reader import RequestReader

if TYPE_CHECKING:
    from asyncio import Transport

_STORED: Final = Outcome.STORED
"""To look it up in its class costs as much as a call."""


class Turn:
    """The place of one pipelined request in the line."""

    __slots__ = ("answer", "line")

    def __init__(self, line: "AnswerLine", answer: Answer | None = None) -> None:
        self.line = line
        self.answer = answer

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of a callback."""
        self.line.settle_turn(self, outcome)


class AnswerLine:
    """
    Writes answers, and is itself the waiter for the outcome of the oldest callback.

    `waiting` is set while the oldest unanswered request is a callback on its way to Kafka; the requests behind it
    are `turns`. `last` means that the connection ends with the answer to the last request read, `ended` that nothing
    more is answered, `end_by` until when further input is discarded. `stalled_at` is when the client stopped
    taking its answers, None while it takes them.
    """

    __slots__ = (
        "_answers",
        "_clock",
        "_limits",
        "_peer_closed",
        "_reader",
        "end_by",
        "ended",
        "last",
        "stalled_at",
        "transport",
        "turns",
        "waiting",
    )

    def __init__(self, answers: Answers, limits: Limits, reader: RequestReader, clock: Clock, *, last: bool) -> None:
        self._answers = answers
        self._limits = limits
        self._reader = reader
        self._clock = clock
        self.turns: deque[Turn] | None = None
        self._peer_closed = False
        self.transport: Transport | None = None
        self.waiting = self.ended = False
        self.last = last
        self.end_by: float | None = None
        self.stalled_at: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether an answer is due."""
        return self.waiting or bool(self.turns)

    @property
    def is_long(self) -> bool:
        """Whether so many answers are due that no more requests should be read."""
        return self.turns is not None and len(self.turns) >= self._limits.pipelined

    def wait(self) -> Waiter:
        """Return the waiter for the outcome of the request just read."""
        if not self.waiting and not self.turns:
            self.waiting = True
            return self
        # As take_turn: a call costs as much as the rest of this.
        turn = Turn(self)
        self._queue(turn)
        return turn

    def take_turn(self) -> Turn:
        """Return the waiter for the outcome of the request just read, which `end_in_turn` may answer instead."""
        turn = Turn(self)
        self._queue(turn)
        return turn

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of the callback at the head of the line."""
        self.waiting = False
        transport = self.transport
        if transport is None:
            return
        # As in _answer_to: a call costs as much as the rest of this.
        answer = self._answers.stored if outcome is _STORED else self._answers.unavailable
        if self.turns:
            transport.write(answer.keep)
            self._answer_turns()
        elif self.last and self._reader.between_requests:
            transport.write(answer.close)
            self._finish()
        else:
            transport.write(answer.keep)

    def settle_turn(self, turn: Turn, outcome: Outcome) -> None:
        """Take the outcome of a callback further back in the line."""
        if turn.answer is None:
            turn.answer = self._answer_to(outcome)
        if not self.waiting and self.turns and self.turns[0] is turn:
            self._answer_turns()

    def reply(self, answer: Answer, *, final: bool = True) -> None:
        """Give an answer that is known at once, behind the answers that are due before it."""
        if self.transport is None:
            return
        if self.is_due:
            self._queue(Turn(self, answer))
        elif self.last and final:
            self.transport.write(answer.close)
            self._finish()
        else:
            self.transport.write(answer.keep)

    def end_with(self, answer: Answer) -> None:
        """Give one more answer, behind the answers that are due before it, and none after it."""
        self.last = True
        self.reply(answer)
        self._end()

    def ends_in(self, turn: Turn) -> bool:
        """Return whether this turn is the last answer that is due."""
        return self.turns is not None and len(self.turns) > 0 and self.turns[-1] is turn

    def end_in_turn(self, turn: Turn, answer: Answer) -> None:
        """Give an answer in place of the outcome of the last turn, and none after it."""
        self.last = True
        turn.answer = answer
        if not self.waiting:
            self._answer_turns()
        self._end()

    def _end(self) -> None:
        self.ended = True
        if self.end_by is None:
            # The answers before it are given within the acknowledgement timeout, which is under 2 s.
            self.end_by = self._clock.monotonic() + 2.0 + self._limits.linger_seconds

    def peer_closed(self) -> bool:
        """Note that the client sends no more; returns whether answers are due to it nevertheless."""
        self._peer_closed = True
        if self.ended or not self.is_due:
            return False
        self.last = True
        return True

    def pause(self) -> None:
        """Read no more from a client that does not take its answers."""
        self.stalled_at = self._clock.monotonic()
        if self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        self.stalled_at = None
        self._resume_reading()

    def disconnect(self) -> None:
        """Forget the client: outcomes that still come are dropped."""
        self.transport = self.turns = None

    def _answer_to(self, outcome: Outcome) -> Answer:
        return self._answers.stored if outcome is Outcome.STORED else self._answers.unavailable

    def _queue(self, turn: Turn) -> None:
        if self.turns is None:
            self.turns = deque()
        self.turns.append(turn)

    def _answer_turns(self) -> None:
        """Write the answers that are known, up to the first that is not."""
        turns, transport = self.turns, self.transport
        if turns is None or transport is None:
            return
        ready = []
        while turns and (answer := turns[0].answer) is not None:
            ready.append(answer)
            turns.popleft()
        ends = self.last and not turns and self._reader.between_requests
        for answer in ready[:-1]:
            transport.write(answer.keep)
        if ready:
            transport.write(ready[-1].close if ends else ready[-1].keep)
        if ends:
            self._finish()
        elif len(turns) < self._limits.pipelined // 2:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self.transport is not None and self.stalled_at is None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _finish(self) -> None:
        """
        Say that no more answers come.

        Further input is discarded for a while: a reset for unread bytes would take the last answer back.
        """
        self.ended = True
        self.end_by = self._clock.monotonic() + self._limits.linger_seconds
        transport = self.transport
        if transport is None:
            return
        if transport.can_write_eof() and not self._peer_closed:
            transport.write_eof()
        else:
            transport.close()
