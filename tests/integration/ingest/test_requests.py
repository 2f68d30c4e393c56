"""Requests as honest clients send them, in every framing."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence

import pytest

from ingest.callback.envelope import RawRecord
from ingest.errors import NotStoredError
from streams.contract.topics import Topic
from tests.integration.ingest.wire import MAX_BODY, PATH, SECRET, Server, Wire, callback, chunked, post, serving
from tests.support.clock import FakeClock
from tests.support.wait import eventually_async

BODY = callback()
REQUEST = post(BODY)
LENGTH = b": %d" % len(BODY)
UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([REQUEST], id="one piece"),
        pytest.param([REQUEST[: -len(BODY)], BODY], id="head and body apart"),
        pytest.param([REQUEST[:1], REQUEST[1:]], id="first byte apart"),
        pytest.param([REQUEST[i : i + 1] for i in range(len(REQUEST))], id="byte by byte"),
        pytest.param([b"\r\n" + REQUEST], id="empty line before"),
        pytest.param([chunked(BODY[:10], BODY[10:])], id="chunked"),
        pytest.param([chunked(BODY, trailer=b"X-T: 1\r\nHost: b\r\n")], id="chunked with a trailer"),
        pytest.param([chunked(*(BODY[i : i + 1] for i in range(len(BODY))))], id="chunks of a byte"),
        pytest.param([chunked(BODY).replace(b"\r\n", b";ext=1\r\n", 5).replace(b";ext=1", b"", 4)], id="extension"),
        pytest.param([post(BODY, UPGRADE)], id="upgrade to h2c"),
        pytest.param([post(BODY, UPGRADE)[: -len(BODY)], BODY[:9], BODY[9:]], id="upgrade, in pieces"),
        pytest.param([chunked(BODY[:10], BODY[10:], fields=UPGRADE)], id="upgrade, chunked"),
        pytest.param([post(BODY, "Content-Type: text/xml\r\n")], id="any content type"),
        pytest.param([post(gzip.compress(BODY), "Content-Encoding: gzip\r\n")], id="gzip"),
        pytest.param([post(BODY, "Content-Encoding: identity\r\n")], id="identity"),
        pytest.param([post(BODY, 'Content-Encoding: "UTF-8"\r\n')], id="a charset as encoding"),
        pytest.param([post(BODY, "Content-Encoding: application/json\r\n")], id="a type as encoding"),
        pytest.param([post(BODY, "Content-Encoding: br\r\n")], id="an encoding that was not applied"),
        pytest.param([chunked(BODY[:9], BODY[9:], fields="Content-Encoding: none\r\n")], id="encoding none, chunked"),
        pytest.param([post(BODY, path=PATH + "?a=b")], id="query"),
        pytest.param([post(BODY, path=f"/callbacks/%{ord(SECRET[0]):x}{SECRET[1:]}")], id="needless code in the path"),
        pytest.param([post(BODY, path=PATH + "%20")], id="white space at the end of the path"),
        pytest.param([post(BODY, path=f"http://a{PATH}")], id="absolute form"),
        pytest.param([post(BODY, path=PATH + "/")], id="slash at the end"),
        pytest.param([post(BODY, path="/" + PATH.replace("callbacks", "callbacks/") + "//?a=b")], id="doubled slashes"),
        pytest.param([post(BODY, path=f"http://a/{PATH}/")], id="absolute form, doubled slash"),
        pytest.param([REQUEST.replace(LENGTH, b":%d" % len(BODY))], id="no space before the length"),
        pytest.param([REQUEST.replace(LENGTH, LENGTH + b" ")], id="space behind the length"),
        pytest.param([REQUEST.replace(LENGTH, b": %030d" % len(BODY))], id="zeros before the length"),
        *[
            pytest.param([REQUEST.replace(b"Host: a", b"Host:" + host)], id=f"host {host!r}")
            for host in (
                b"",
                b"\ta:8443 ",
                b"[2001:db8::1]",
                b" [::1]:80",
                b" 192.0.2.1:",
                b" my_host.example.",
                b" %41",
            )
        ],
        pytest.param([REQUEST.replace(LENGTH, LENGTH + b"\t")], id="tab behind the length"),
        pytest.param([REQUEST.replace(LENGTH, b":\t \t%d \t " % len(BODY))], id="spaces and tabs around the length"),
        pytest.param([chunked(BODY).replace(b" chunked", b"\tChunked\t")], id="tabs around chunked"),
        pytest.param([post(BODY, "X:\t\r\nConnection: keep-alive\t,\r\n")], id="tabs around other values"),
        pytest.param([post(gzip.compress(BODY), "Content-Encoding:\tgzip \r\n")], id="tab and space around gzip"),
    ],
)
async def test_a_callback_is_stored_however_it_is_framed(server: Server, parts: list[bytes]) -> None:
    wire = await server.talk(*parts)
    reply = await wire.reply()
    assert (reply.status, reply.body) == (200, b"")
    assert BODY in server.stored_bytes
    assert len(server.callbacks) == 1
    assert not server.rejections
    assert await wire.is_open()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (zlib.compress(BODY), "deflate"),
        (zlib.compress(BODY)[2:-4], "deflate"),
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
        (gzip.compress(BODY), "identity, gzip"),
        (b"\xef\xbb\xbf" + BODY, "utf-8"),
    ],
)
async def test_an_encoding_that_is_known_by_its_bytes_needs_no_name(server: Server, body: bytes, encoding: str) -> None:
    wire = await server.talk(post(body, f"Content-Encoding: {encoding}\r\n"))
    assert (await wire.reply()).status == 200
    assert server.callbacks == [json.loads(BODY)]
    assert not server.rejections


@pytest.mark.parametrize(
    "request_",
    [
        post(fields="Connection: close\r\n"),
        post().replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(fields="Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_a_client_that_does_not_stay_gets_an_answer_and_the_end(server: Server, request_: bytes) -> None:
    wire = await server.talk(request_)
    assert (await wire.reply()).fields["connection"] == "close"
    assert await wire.is_closed()
    assert len(server.callbacks) == 1


async def test_nothing_is_read_behind_a_last_request(server: Server) -> None:
    wire = await server.talk(post(fields="Connection: close\r\n") + post())
    assert (await wire.reply()).status == 200
    assert await wire.is_closed()
    assert len(server.callbacks) == 1


async def test_nothing_is_read_behind_a_last_request_that_asks_for_an_upgrade(server: Server) -> None:
    wire = await server.talk(post(fields=UPGRADE.replace("Upgrade,", "close, Upgrade,")) + post())
    assert (await wire.reply()).fields["connection"] == "close"
    assert await wire.is_closed()
    assert len(server.callbacks) == 1


async def test_two_upgrades_in_a_row_keep_their_bodies(server: Server) -> None:
    wire = await server.talk(post(fields=UPGRADE) + post(fields=UPGRADE), post())
    assert await wire.statuses(3) == [200] * 3
    assert len(server.callbacks) == 3


@pytest.mark.parametrize("count", [2, 20, 300, 2000])
async def test_pipelined_requests_are_answered_in_their_order(server: Server, count: int) -> None:
    bodies = [callback(n=str(number)) for number in range(count)]
    wire = await server.connect()
    sending = asyncio.create_task(wire.send(b"".join(map(post, bodies)) + b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert await wire.statuses(count + 1) == [200] * count + [404]
    await sending
    assert len(server.callbacks) == count


async def test_answers_known_at_once_wait_for_the_ones_before_them(patient: Server) -> None:
    patient.log.hold()
    wire = await patient.talk(post() + post(b"{") + post() + post(path="/wrong"))
    await eventually_async(lambda: patient.service.publisher.pending.size > 1_000)
    patient.log.release()
    assert await wire.statuses(4) == [200, 200, 200, 404]


class SlowLog:
    """Gets in front of a server's log: one callback is held until `released`, and then fails."""

    SLOW, QUICK = b'{"messageId":"slow"}', b'{"messageId":"quick"}'

    def __init__(self, server: Server) -> None:
        self._server, self._append = server, server.log.append
        self.released = asyncio.Event()

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        if any(self.SLOW in record.value for record in records):
            await self.released.wait()
            raise NotStoredError("told to fail")
        await self._append(topic, records, partition)

    async def assert_nothing_came(self, wire: Wire) -> None:
        """Assert that the client has no answer, though the server has answered another client since."""
        await self._server.has_read()
        assert not vars(wire.reader)["_buffer"]


@pytest.fixture
def slow_log(server: Server, monkeypatch: pytest.MonkeyPatch) -> SlowLog:
    log = SlowLog(server)
    monkeypatch.setattr(server.log, "append", log.append)
    return log


async def test_an_outcome_that_comes_early_waits_for_the_ones_before_it(server: Server, slow_log: SlowLog) -> None:
    slow, quick = post(slow_log.SLOW), post(slow_log.QUICK)
    wire = await server.talk(slow + quick + quick + post(path="/wrong"))
    await eventually_async(lambda: len(server.callbacks) == 2)
    await slow_log.assert_nothing_came(wire)
    slow_log.released.set()
    assert await wire.statuses(4) == [503, 200, 200, 404]


async def test_a_request_that_comes_late_waits_for_the_ones_before_it(server: Server, slow_log: SlowLog) -> None:
    slow, quick = post(slow_log.SLOW), post(slow_log.QUICK)
    wire = await server.talk(quick + slow)
    assert (await wire.reply()).status == 200
    await wire.send(quick)
    await eventually_async(lambda: len(server.callbacks) == 2)
    await slow_log.assert_nothing_came(wire)
    slow_log.released.set()
    assert await wire.statuses(2) == [503, 200]


async def test_a_request_that_ends_the_connection_is_answered_after_the_ones_before_it(server: Server) -> None:
    wire = await server.talk(post() + b"BAD\r\n\r\n")
    assert await wire.statuses(2) == [200, 400]
    assert await wire.is_closed()


@pytest.mark.parametrize("value", [" 100-continue", "\t100-Continue \t", "100-continue,"])
async def test_100_continue_is_answered_before_the_body(server: Server, value: str) -> None:
    wire = await server.talk(post(BODY, f"Expect:{value}\r\n")[: -len(BODY)])
    assert (await wire.reply()).status == 100
    await wire.send(BODY)
    assert (await wire.reply()).status == 200
    assert len(server.callbacks) == 1


async def test_a_client_of_http_1_0_gets_no_interim_answer(server: Server) -> None:
    wire = await server.talk(post(BODY, "Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (await wire.reply()).status == 200
    assert await wire.is_closed()


async def test_100_continue_keeps_the_order_of_answers(server: Server) -> None:
    wire = await server.talk(post() + post(BODY, "Expect: 100-continue\r\n"))
    assert await wire.statuses(3) == [200, 100, 200]


@pytest.mark.parametrize("count", [1, 5])
async def test_a_client_that_has_closed_its_direction_gets_its_answers(server: Server, count: int) -> None:
    wire = await server.talk(*(post() for _ in range(count)))
    wire.writer.write_eof()
    assert await wire.statuses(count) == [200] * count
    assert await wire.is_closed()
    assert len(server.callbacks) == count


async def test_a_client_that_is_gone_has_its_callback_stored(patient: Server) -> None:
    patient.log.hold()
    wire = await patient.talk(post())
    await eventually_async(lambda: patient.service.publisher.pending.size)
    wire.reset()
    await eventually_async(lambda: not patient.service.connections)
    patient.log.release()
    await eventually_async(lambda: patient.callbacks)
    assert patient.service.publisher.pending.size == 0


async def test_the_longest_body_is_taken(server: Server) -> None:
    body = callback(size=MAX_BODY - len(callback(size=0)))
    assert len(body) == MAX_BODY
    for request in (post(body), chunked(body[:9], body[9:]), post(gzip.compress(body), "Content-Encoding: gzip\r\n")):
        wire = await server.talk(request)
        assert (await wire.reply()).status == 200
    assert len(server.callbacks) == 3


@pytest.mark.parametrize("white", [b"", b" ", b"\t", b" \t "])
async def test_the_same_head_again_takes_the_same_way(server: Server, white: bytes) -> None:
    wire = await server.connect()
    bodies = [callback() for _ in range(50)]
    for body in bodies:
        await wire.send(post(body).replace(LENGTH, LENGTH + white))
        assert (await wire.reply()).status == 200
    assert len(server.service.known_heads) == 1
    assert {stored["messageId"] for stored in server.callbacks} == {json.loads(body)["messageId"] for body in bodies}


@pytest.mark.parametrize(
    "request_",
    [
        post(fields="Connection: close\r\n"),
        post(fields="Content-Encoding: identity\r\n"),
        post(fields="Expect: 100-continue\r\n"),
        post(fields=UPGRADE),
        chunked(callback()),
        post(b""),
        post(path="/callbacks/wrong"),
        post().replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_only_plain_heads_are_remembered(server: Server, request_: bytes) -> None:
    wire = await server.talk(request_)
    await wire.reply()
    assert not server.service.known_heads


async def test_callbacks_that_cannot_be_stored_are_to_be_sent_again(server: Server) -> None:
    server.log.trouble = "the topic is missing"
    wire = await server.talk(post() + post(b"not json"))
    for _ in range(2):
        reply = await wire.reply()
        assert reply.status == 503
        assert int(reply.fields["retry-after"]) > 0
    server.log.trouble = None
    await wire.send(post())
    assert (await wire.reply()).status == 200
    assert len(server.callbacks) == 1


async def test_a_failed_record_is_to_be_sent_again(server: Server) -> None:
    server.log.failing = True
    wire = await server.talk(post())
    assert (await wire.reply()).status == 503
    server.log.failing = False
    await wire.send(post())
    assert (await wire.reply()).status == 200


async def test_no_client_waits_longer_than_the_timeout_and_a_tick() -> None:
    clock = FakeClock()
    async with serving(clock=clock) as server:
        server.log.hold()
        wire = await server.talk(post(BODY))
        await eventually_async(lambda: server.log.held)
        clock.advance(1.4)
        assert server.service.metrics.total("refused", "kafka") == 0
        clock.advance(0.3)
        assert (await wire.reply()).status == 503
        await wire.send(post(BODY))
        assert (await wire.reply()).status == 503, "behind a stuck record, the answer comes at once"
        server.log.release()
        await eventually_async(lambda: server.service.trouble() is None)
        await wire.send(post(BODY))
        assert (await wire.reply()).status == 200
