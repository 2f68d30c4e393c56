"""
One HTTP/1.1 connection: requests in, answers out in the same order. Decides nothing: it asks, and carries out.

A callback costs no task, no future and no timer. The connection is itself the one who waits for the outcome;
pipelined requests behind it wait as turns in a queue.
"""

import asyncio
from collections import deque
from time import monotonic, time
from typing import Final, cast

from ingest import body as bodies
from ingest.admission import (
    BODY_TOO_LARGE,
    TOO_MANY_CONNECTIONS,
    TOO_MUCH_PENDING,
    TOO_SLOW,
    Cause,
    Refused,
    RequestHead,
    Route,
    admit,
)
from ingest.answers import CONTINUE, Answer
from ingest.body import Rejected
from ingest.envelope import reject
from ingest.networks import Address, parse_address
from ingest.publisher import Lane, Outcome, Waiter
from ingest.reader import RequestReader
from ingest.service import Service

_HEAD_END: Final = b"\r\n\r\n"
_LONGEST_KNOWN_HEAD: Final = 2048


class Turn:
    """The place of one pipelined request in the line of answers."""

    __slots__ = ("answer", "connection")

    def __init__(self, connection: "Connection", answer: Answer | None = None) -> None:
        self.connection = connection
        self.answer = answer

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of a callback."""
        self.connection.settle_turn(self, outcome)


class Connection(asyncio.Protocol):
    """
    What the event loop calls for one client.

    `_waiting` is set while the oldest unanswered request is a callback on its way to Kafka; `_turns` are the requests
    behind it. `_last` means that the connection ends with the answer to the last request read, `_ended` that
    nothing more is read or answered.
    """

    __slots__ = (
        "_begun",
        "_end_by",
        "_ended",
        "_held",
        "_last",
        "_peer",
        "_peer_closed",
        "_reader",
        "_route",
        "_seen",
        "_service",
        "_stalled",
        "_surplus",
        "_transport",
        "_trusted",
        "_turns",
        "_waiting",
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reader = RequestReader(self, service.limits, service.rules.max_body_bytes)
        self._transport: asyncio.Transport | None = None
        self._turns: deque[Turn] | None = None
        self._route = Route.CALLBACK
        self._peer: Address | None = None
        self._waiting = self._ended = self._peer_closed = False
        self._last = service.stopping
        # Whether a head that was admitted once may be admitted again without asking.
        self._trusted = service.allowlist is None
        self._seen = service.now
        self._begun: float | None = None
        self._stalled: float | None = None
        self._end_by: float | None = None
        self._held = self._surplus = 0

    # The connection's life.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; refused at once when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        if self._service.allowlist is not None:
            self._peer = parse_address(self._peer_name())
        if not self._service.connected(self):
            self._refuse(TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End. What the client has sent completely is stored all the same."""
        self._hold(0)
        self._transport = self._turns = None
        self._service.disconnected(self)

    def eof_received(self) -> bool:
        """Answer a client that has only closed its own direction, if anything is due; returns whether to stay open."""
        self._peer_closed = True
        if self._ended or self._transport is None or not (self._waiting or self._turns):
            return False
        self._last = True
        return self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """Read no more from a client that does not take its answers."""
        self._stalled = monotonic()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._stalled = None
        self._resume_reading()

    def drain(self) -> None:
        """End with the next answer, or soon without one."""
        self._last = True

    def distrust(self) -> None:
        """Have the address judged again with the next request."""
        self._trusted = False

    def cut(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now: float) -> None:
        """Enforce the limits in time."""
        limits, transport = self._service.limits, self._transport
        if transport is None:
            return
        if self._end_by is not None:
            if now > self._end_by:
                # close() would wait for ever for a peer that does not read.
                transport.abort()
        elif self._stalled is not None:
            if now - self._stalled > limits.write_s:
                self._service.metrics.refused(Cause.SLOW)
                transport.abort()
        elif self._begun is not None and not self._reader.between_requests:
            if now - self._begun > limits.request_s:
                self._refuse(TOO_SLOW)
        elif not (self._waiting or self._turns) and (
            now - self._seen > limits.idle_s or (self._last and now > self._service.goodbye_at)
        ):
            transport.close()

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Read what came, as far as it goes."""
        if self._ended:
            self._discard(len(data))
            return
        reader = self._reader
        if reader.between_requests and self._trusted and not self._last:
            data = self._read_known(data)
        refused = reader.feed(data) if data else None
        if refused is not None:
            self._refuse(refused)
            return
        if not reader.between_requests or self._held:
            self._wait_for_the_rest()
        if self._turns and len(self._turns) >= self._service.limits.pipelined and self._transport is not None:
            self._transport.pause_reading()

    def _read_known(self, data: bytes) -> bytes:
        """
        Read requests whose heads are known, and learn the first head that is not; returns what is left to read.

        A known head was parsed and admitted before, byte for byte: the same bytes mean the same request.
        """
        known = self._service.known_heads
        start, end = 0, data.find(_HEAD_END) + 4
        while (size := known.get(data[start:end])) is not None and end + size <= len(data):
            self._route = Route.CALLBACK
            self._take_callback(data[end : end + size])
            start = end + size
            if start == len(data):
                return b""
            end = data.find(_HEAD_END, start) + 4
        if size is not None or not 4 < end - start <= _LONGEST_KNOWN_HEAD:  # noqa: PLR2004 - the line end itself
            return data[start:] if start else data
        return self._learn(data[start:end], data[end:])

    def _learn(self, head: bytes, rest: bytes) -> bytes:
        refused = self._reader.feed(head)
        if refused is not None:
            self._refuse(refused)
            return b""
        if self._reader.repeatable and self._trusted and not self._last and self._route is Route.CALLBACK:
            self._service.learn(head, self._reader.head.content_length or 0)
        return rest

    def _wait_for_the_rest(self) -> None:
        """Start the clock of a request that has begun, and count what is held of its body."""
        if self._reader.between_requests:
            self._begun = None
        elif self._begun is None:
            self._begun = monotonic()
        self._hold(self._reader.held)
        if self._held and not self._service.publisher.has_room(0):
            self._refuse(TOO_MUCH_PENDING)

    def _hold(self, size: int) -> None:
        """Count the bytes of an unfinished body as pending, in place of those counted before."""
        self._service.publisher.pending.size += size - self._held
        self._held = size

    def _discard(self, size: int) -> None:
        self._surplus += size
        if self._surplus > self._service.limits.lingering_bytes and self._transport is not None:
            self._transport.abort()

    # What the reader calls.

    def head_received(self, head: RequestHead) -> Refused | None:
        """Have a head judged."""
        allowlist = self._service.allowlist
        allowed = allowlist is None or allowlist.allows(self._peer, head.forwarded_for)
        admitted = admit(head, self._service.rules, address_allowed=allowed)
        if isinstance(admitted, Refused):
            return admitted
        self._route = admitted
        if self._reader.closing:
            self._last = True
        if allowlist is not None:
            self._trusted = allowed and not allowlist.is_proxy(self._peer)
        if head.expect is not None and admitted is Route.CALLBACK:
            self._reply(CONTINUE, final=False)
        return None

    def request_received(self, head: RequestHead, body: bytes) -> Refused | None:
        """Carry a whole request out."""
        self._begun = None
        if self._route is not Route.CALLBACK:
            self._reply(self._page(head=head.method == b"HEAD"))
            return None
        if head.gzipped:
            inflated = bodies.inflate(body, self._service.rules.max_body_bytes)
            if inflated is None:
                return BODY_TOO_LARGE
            if isinstance(inflated, Rejected):
                self._take_rejected(body, inflated)
                return None
            body = inflated
        self._take_callback(body)
        return None

    def _take_callback(self, body: bytes) -> None:
        service = self._service
        self._seen = service.now
        found = bodies.examine(body, service.redactor)
        if isinstance(found, Rejected):
            self._take_rejected(body, found)
            return
        key, body = found
        self._store(service.publisher.lane_for(key), body, key)

    def _take_rejected(self, body: bytes, rejected: Rejected) -> None:
        service = self._service
        body = service.redactor.redact_anything(body)
        record = reject(body, rejected.reason, rejected.detail, int(time() * 1000))
        self._store(service.publisher.lane_for_rejections(), record, rejected.reason)

    def _store(self, lane: Lane | Cause, body: bytes, key: str) -> None:
        if isinstance(lane, Cause):
            self._service.metrics.refused(lane)
            self._reply(self._service.answers.unavailable)
            return
        now = monotonic()
        waiter = self._wait()
        if self._service.access_log is not None:
            waiter = self._service.access_log.watch(waiter, self._peer_name(), len(body), now)
        lane.add(body, key, waiter, now)

    def _wait(self) -> Waiter:
        """Return who waits for the outcome of the request just read."""
        if not self._waiting and not self._turns:
            self._waiting = True
            return self
        turn = Turn(self)
        self._queue(turn)
        return turn

    def _page(self, *, head: bool) -> Answer:
        service = self._service
        self._seen = service.now
        if self._route is Route.METRICS:
            service.tell_state()
            return service.answers.metrics(service.metrics.render(), head=head)
        trouble = service.trouble() if self._route is Route.READYZ else None
        return service.answers.not_ready(trouble, head=head) if trouble else service.answers.page(b"ok\n", head=head)

    # Answering, in order.

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of the callback at the head of the line."""
        self._waiting = False
        transport = self._transport
        if transport is None:
            return
        answer = self._answer_to(outcome)
        if self._turns:
            transport.write(answer.keep)
            self._answer_turns()
        elif self._last and self._reader.between_requests:
            transport.write(answer.close)
            self._finish()
        else:
            transport.write(answer.keep)

    def settle_turn(self, turn: Turn, outcome: Outcome) -> None:
        """Take the outcome of a callback further back in the line."""
        turn.answer = self._answer_to(outcome)
        if not self._waiting and self._turns and self._turns[0] is turn:
            self._answer_turns()

    def _answer_to(self, outcome: Outcome) -> Answer:
        answers = self._service.answers
        return answers.stored if outcome is Outcome.STORED else answers.unavailable

    def _reply(self, answer: Answer, *, final: bool = True) -> None:
        """Give an answer that is known at once, behind those that are due before it."""
        if self._transport is None:
            return
        if self._waiting or self._turns:
            self._queue(Turn(self, answer))
        elif self._last and final:
            self._transport.write(answer.close)
            self._finish()
        else:
            self._transport.write(answer.keep)

    def _queue(self, turn: Turn) -> None:
        if self._turns is None:
            self._turns = deque()
        self._turns.append(turn)

    def _answer_turns(self) -> None:
        """Write the answers that are known, up to the first that is not."""
        turns, transport = self._turns, self._transport
        if turns is None or transport is None:
            return
        ready = []
        while turns and (answer := turns[0].answer) is not None:
            ready.append(answer)
            turns.popleft()
        ends = self._last and not turns and self._reader.between_requests
        for answer in ready[:-1]:
            transport.write(answer.keep)
        if ready:
            transport.write(ready[-1].close if ends else ready[-1].keep)
        if ends:
            self._finish()
        elif len(turns) < self._service.limits.pipelined // 2:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and self._stalled is None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse(self, refused: Refused) -> None:
        """Answer a request that ends the connection; those before it get their answers first."""
        self._service.metrics.refused(refused.cause)
        if self._service.access_log is not None:
            self._service.access_log.refused(self._peer_name(), refused)
        self._hold(0)
        self._reader.between_requests = self._last = True
        self._reply(self._service.answers.refusal(refused))
        self._ended = True
        if self._end_by is None:
            # Those before it are answered within the acknowledgement timeout, which is under 2 s.
            self._end_by = monotonic() + 2.0 + self._service.limits.linger_s

    def _finish(self) -> None:
        """
        Say that no more answers come.

        What still comes in is discarded for a while: a reset for unread bytes would take the last answer back.
        """
        self._ended = True
        self._end_by = monotonic() + self._service.limits.linger_s
        transport = self._transport
        if transport is None:
            return
        if transport.can_write_eof() and not self._peer_closed:
            transport.write_eof()
        else:
            transport.close()

    def _peer_name(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""
