"""
One HTTP/1.1 connection: requests in, answers out in the same order. Decides nothing: it asks, and carries out.

A callback costs no task, no future and no timer: the answer line of its connection is itself the waiter.
"""

import asyncio
from typing import Any, cast

from ingest.callback import body as bodies
from ingest.callback.body import Rejected
from ingest.callback.envelope import reject
from ingest.callback.masking import masked
from ingest.callback.repair import Repaired, is_callback, repair
from ingest.callback.several import several
from ingest.causes import Cause
from ingest.commit.lane import Lane, Outcome, Waiter
from ingest.http.admission import (
    BODY_TOO_LARGE,
    ENCODING_UNKNOWN,
    GUESSED,
    NOT_FOUND,
    TOO_MUCH_PENDING,
    TOO_SLOW,
    Refused,
    RequestHead,
    admit,
)
from ingest.http.answer_line import AnswerLine, Turn
from ingest.http.answers import CONTINUE
from ingest.http.networks import Address, client_address, share_of
from ingest.http.reader import NO_REQUEST, RequestReader
from ingest.http.service import Service
from ingest.http.together import Together
from streams.contract.records import Reason


class Connection(asyncio.Protocol):
    """
    The protocol of one client: the event loop calls it, and so does its reader.

    `arriving` is the task that makes the connection, handshake of TLS included; `share` is what the connection counts
    for (`Connections`). `_trusted` says that a head which was admitted once may be admitted again without asking;
    `_doubted` is the turn of the last body that was no callback as it came; `_held` counts the bytes of an unfinished
    body that are pending; `_surplus` counts the bytes that came after the end; `_held_until` is set while a refusal is
    held back; `_seen` is when the connection was made or last used, `_used` whether it was.
    """

    __slots__ = (
        "_begun",
        "_doubted",
        "_held",
        "_held_until",
        "_line",
        "_peer",
        "_reader",
        "_seen",
        "_service",
        "_surplus",
        "_trusted",
        "_used",
        "arriving",
        "share",
    )

    def __init__(self, service: Service, peer: Address | None) -> None:
        self._service = service
        self._reader = RequestReader(self, service.limits, service.rules.max_body_bytes)
        self._line = AnswerLine(service.answers, service.limits, self._reader, service.clock, last=service.stopping)
        self._doubted: Turn | None = None
        self._peer = peer
        self._trusted = service.allowlist is None
        self._used = False
        self._held_until: float | None = None
        self.arriving: asyncio.Task[Any] | None = None
        self.share = None if peer is None or peer in service.proxies else share_of(peer)
        self._seen = service.now
        self._begun: float | None = None
        self._held = self._surplus = 0

    # The connection's life.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, at the end of the handshake if there is one."""
        self._line.transport = cast("asyncio.Transport", transport)
        self._seen = self._service.now

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End. Callbacks that the client has sent completely are stored all the same."""
        self._hold(0)
        self._line.disconnect()
        self._reader.close()
        self._service.connections.remove(self)

    def eof_received(self) -> bool:
        """Answer a client that has only closed its own direction, if anything is due; returns whether to stay open."""
        transport = self._line.transport
        if not self._line.peer_closed() or transport is None:
            return False
        return transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """Read no more from a client that does not take its answers."""
        self._line.pause()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._line.resume()

    def drain(self) -> None:
        """End with the next answer, or soon without one."""
        self._line.last = True
        self._seen = self._service.clock.monotonic()
        if self._held_until is not None:
            self._held_until = self._seen

    def distrust(self) -> None:
        """Have the address judged again with the next request."""
        self._trusted = False

    @property
    def is_busy(self) -> bool:
        """Whether a callback is under way: an answer is due, or the body of an admitted request is coming."""
        return self._line.is_due or self._reader.in_body

    def cut(self) -> None:
        """End at once."""
        if self._line.transport is not None:
            self._line.transport.abort()
        elif self.arriving is not None:
            self.arriving.cancel()

    def shed(self) -> None:
        """End at once, in favour of another connection."""
        self._service.metrics.refused(Cause.CONNECTIONS)
        self.cut()

    def sweep(self, now: float) -> None:
        """Enforce the limits in time."""
        line, transport = self._line, self._line.transport
        if transport is None:
            # How long a handshake may take, the event loop knows.
            if line.last and now - self._seen > self._patience():
                self.cut()
        elif self._held_until is not None:
            if now > self._held_until:
                self._held_until = None
                line.end_with(self._service.answers.refusal(GUESSED, self._reader.head.method))
        elif line.end_by is not None:
            if now > line.end_by:
                # close() would wait for ever for a peer that does not read.
                transport.abort()
        else:
            self._sweep_open(now, transport)

    def _sweep_open(self, now: float, transport: asyncio.Transport) -> None:
        limits, line = self._service.limits, self._line
        if line.stalled_at is not None:
            if now - line.stalled_at > limits.write_seconds:
                self._service.metrics.refused(Cause.SLOW)
                transport.abort()
        elif self._begun is not None and not self._reader.between_requests:
            if now - self._begun > limits.request_seconds:
                self._refuse(TOO_SLOW)
        elif not line.is_due and now - self._seen > self._patience():
            transport.close()

    def _patience(self) -> float:
        """Return for how many seconds the connection may be silent."""
        limits = self._service.limits
        if self._line.last:
            return limits.goodbye_seconds
        return limits.idle_seconds if self._used else limits.request_seconds

    def _use(self) -> None:
        """Note that a request came."""
        self._seen, self._used = self._service.now, True
        self._service.connections.use(self)

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Read the requests in these bytes; the last one may be unfinished."""
        reader, line = self._reader, self._line
        if line.ended:
            self._discard(len(data))
            return
        if reader.between_requests and self._trusted and not line.last:
            body = self._service.known_heads.body_of(data)
            if body is not None:
                self._take_callback(body)
                data = b""
            else:
                data = self._read_known(data)
        refused = reader.feed(data) if data else None
        if refused is not None:
            self._stop_reading(refused)
            return
        if not reader.between_requests or self._held:
            self._wait_for_the_rest()
        if line.turns and line.is_long and line.transport is not None:
            line.transport.pause_reading()

    def _read_known(self, data: bytes) -> bytes:
        """Read the requests whose heads are known, and learn the first head that is not; returns the unread bytes."""
        whole, head, rest = self._service.known_heads.split(data)
        for body in whole:
            self._take_callback(body)
        return self._learn(head, rest) if head else rest

    def _learn(self, head: bytes, rest: bytes) -> bytes:
        refused = self._reader.feed(head)
        if refused is not None:
            self._stop_reading(refused)
            return b""
        if self._reader.repeatable and self._trusted and not self._line.last:
            self._service.known_heads.learn(head, self._reader.head.content_length or 0)
        return rest

    def _stop_reading(self, refused: Refused) -> None:
        """
        End for bytes that cannot be read.

        When they are no request, they may be the end of the body before them: if that was no callback as it came, they
        may be all that it lacked, and a 200 would say that they were taken.
        """
        if refused is not NO_REQUEST:
            self._refuse(refused)
        elif self._doubted is not None and self._line.ends_in(self._doubted):
            self._refuse(refused, self._doubted)
        elif not self._reader.closing:
            self._refuse(refused)

    def _wait_for_the_rest(self) -> None:
        """Start the clock of a request that has begun, and count the received bytes of its body as pending."""
        if self._reader.between_requests:
            self._begun = None
        elif self._begun is None:
            self._begun = self._service.clock.monotonic()
        self._hold(self._reader.held)
        if self._held and not self._service.pending.has_room(0):
            self._refuse(TOO_MUCH_PENDING)

    def _hold(self, size: int) -> None:
        """Count the bytes of an unfinished body as pending, in place of the count before."""
        self._service.pending.hold(self._held, size)
        self._held = size

    def _discard(self, size: int) -> None:
        self._surplus += size
        if self._surplus > self._service.limits.lingering_bytes:
            self.cut()

    # Called by the reader.

    def head_received(self, head: RequestHead) -> Refused | None:
        """Have a head judged."""
        service, allowlist = self._service, self._service.allowlist
        allowed = allowlist is None or allowlist.allows(self._peer, head.forwarded_for)
        refused = admit(head, service.rules, address_allowed=allowed)
        if refused is not None:
            return self._missed(head) if refused is NOT_FOUND else refused
        if self._reader.closing:
            self._line.last = True
        if allowlist is not None:
            self._trusted = allowed and not allowlist.is_proxy(self._peer)
        # A client of HTTP/1.0 knows no interim answer (RFC 9110, 10.1.1).
        if head.expect and head.minor == 1:
            self._line.reply(CONTINUE, final=False)
        return None

    def _missed(self, head: RequestHead) -> Refused:
        """Return how a request is refused that has no right path."""
        service = self._service
        service.wrong_paths.note(head)
        address = share_of(client_address(self._peer, head.forwarded_for, service.proxies))
        return GUESSED if address is not None and service.guesses.note(address) else NOT_FOUND

    def request_received(self, head: RequestHead, body: bytes) -> Refused | None:
        """Carry a whole request out."""
        self._begun = None
        max_bytes = self._service.rules.max_body_bytes
        if head.gzipped:
            inflated = bodies.inflate(body, max_bytes)
            if inflated is None:
                return BODY_TOO_LARGE
            if isinstance(inflated, Rejected):
                self._take_unreadable(body, inflated)
                return None
            body = inflated
        elif head.encoded_otherwise and not (is_callback(body, self._service.redactor, max_bytes) or several(body)):
            return ENCODING_UNKNOWN
        self._take_callback(body)
        return None

    def _take_callback(self, body: bytes) -> None:
        service = self._service
        if self._seen != service.now or not self._used:  # once in a tick is enough: it is told to a tenth of a second
            self._use()
        found = bodies.examine(body, service.redactor)
        if isinstance(found, Rejected):
            self._take_unreadable(body, found)
            return
        key, body = found
        lane = service.publisher.lane_for(key)
        if not isinstance(lane, Lane):
            self._reply_unavailable(lane)
            return
        now = service.clock.monotonic()
        waiter = self._line.wait()
        if service.access_log is not None:
            waiter = self._logged(waiter, len(body), now)
        lane.add(body, key, waiter, now)

    def _take_unreadable(self, body: bytes, refused: Rejected, together: Together | None = None) -> None:
        """Take a body that was refused as the callbacks in it or that it can be repaired to, else as a rejection."""
        service = self._service
        if refused.reason is Reason.NOT_OBJECT and (parts := several(body)):
            self._take_several(parts, len(body))
            return
        found = repair(body, refused, service.redactor, service.rules.max_body_bytes)
        if isinstance(found, Repaired):
            self._take_repaired(found, together)
        else:
            self._take_rejected(body, found, together)

    def _take_several(self, parts: list[bytes], size: int) -> None:
        """Take each callback of a body by itself; the body is answered 200 when all of them are stored."""
        service = self._service
        self._doubted = self._line.take_turn()
        together = Together(self._logged(self._doubted, size, service.clock.monotonic()), len(parts))
        for part in parts:
            if not together.left:
                return
            found = bodies.examine(part, service.redactor)
            if isinstance(found, Rejected):
                self._take_unreadable(part, found, together)
            else:
                key, body = found
                self._add_doubted(service.publisher.lane_for(key), body, key, together)

    def _take_repaired(self, callback: Repaired, together: Together | None) -> None:
        lane = self._add_doubted(self._service.publisher.lane_for(callback.key), callback.body, callback.key, together)
        if lane is not None:
            lane.note(callback.note)

    def _take_rejected(self, body: bytes, rejected: Rejected, together: Together | None) -> None:
        service = self._service
        kept, detail = masked(body, service.redactor, service.rules.max_body_bytes), rejected.detail
        if kept is None:
            kept, detail = b"", f"{detail}; its bytes are not kept, since a secret in them cannot be masked for sure"
        record = reject(kept, rejected.reason, detail, int(service.clock.wall() * 1000))
        self._add_doubted(service.publisher.lane_for_rejections(), record, rejected.reason, together)

    def _add_doubted(self, lane: Lane | Cause, body: bytes, key: str, together: Together | None) -> Lane | None:
        """
        Have a body stored that bytes behind it may show to be a part of one; return its lane, None without room.

        One of several bodies has no turn of its own: `together` takes its outcome.
        """
        if not isinstance(lane, Lane):
            self._reply_unavailable(lane, together)
            return None
        now = self._service.clock.monotonic()
        waiter: Waiter | None = together
        if waiter is None:
            self._doubted = turn = self._line.take_turn()
            waiter = self._logged(turn, len(body), now)
        lane.add(body, key, waiter, now)
        return lane

    def _logged(self, waiter: Waiter, size: int, came: float) -> Waiter:
        """Return the waiter, or one in its place that writes a line to the access log, if there is one."""
        log = self._service.access_log
        return waiter if log is None else log.watch(waiter, self._peer_name(), size, came)

    def _reply_unavailable(self, cause: Cause, together: Together | None = None) -> None:
        self._service.metrics.refused(cause)
        if together is None:
            self._line.reply(self._service.answers.unavailable)
        else:
            together.settle(Outcome.FAILED)

    def _refuse(self, refused: Refused, turn: Turn | None = None) -> None:
        """
        Answer a request that ends the connection; the requests before it get their answers first.

        With a turn, the last one that is due, the answer takes its place.
        """
        self._service.metrics.refused(refused.cause)
        if self._service.access_log is not None:
            self._service.access_log.refused(self._peer_name(), refused)
        self._hold(0)
        # The connection lingers, and its body is no longer counted as pending.
        self._reader.abandon()
        if refused is GUESSED:
            self._hold_back()
            return
        answer = self._service.answers.refusal(refused, self._reader.head.method)
        if turn is None:
            self._line.end_with(answer)
        else:
            self._line.end_in_turn(turn, answer)

    def _hold_back(self) -> None:
        """Read no more, and answer later: the client learns slowly that its guess was wrong."""
        self._line.ended = True
        self._held_until = self._service.clock.monotonic() + self._service.limits.guess_seconds
        self._service.connections.hold_back(self)

    def _peer_name(self) -> str:
        transport = self._line.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        return str(peer[0]) if peer else ""
