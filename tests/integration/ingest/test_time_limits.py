"""The limits in time: no client holds a connection by being slow, silent or deaf."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator

import pytest

from ingest.http.limits import Limits
from ingest.http.reader import RequestReader
from tests.integration.ingest.wire import Server, Wire, post, serving
from tests.support.clock import FakeClock
from tests.support.wait import eventually_async

REQUEST = post()
LIMITS = Limits()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def server(clock: FakeClock) -> AsyncIterator[Server]:
    async with serving(clock=clock) as running:
        yield running


async def after(server: Server, clock: FakeClock, seconds: float, wire: Wire | None = None, drip: bytes = b"") -> None:
    """Let time pass, second by second; a client that drips sends a piece in each."""
    for _ in range(int(seconds)):
        if wire is not None and not wire.writer.is_closing():
            await wire.send(drip)
        await server.has_read()
        clock.advance(1.0)
    await server.has_read()


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(b"POST / HTTP/1.1\r\n", b"X: a\r\n", id="slow head"),
        pytest.param(REQUEST[:-500], b"x", id="slow body"),
        pytest.param(REQUEST[:-500], b"", id="body that stops"),
        pytest.param(REQUEST + REQUEST[:-500], b"", id="body that stops, behind another"),
    ],
)
async def test_a_request_that_does_not_become_whole_is_cut_off(
    server: Server, clock: FakeClock, begin: bytes, piece: bytes
) -> None:
    wire = await server.talk(begin)
    await after(server, clock, LIMITS.request_seconds - 1, wire, piece)
    assert server.service.metrics.total("refused", "slow") == 0
    await after(server, clock, 3, wire, piece)
    reply = await wire.reply()
    if begin.startswith(REQUEST):
        assert reply.status == 200
        reply = await wire.reply()
    assert reply.status == 408
    assert await wire.is_closed()
    assert server.service.pending.size == 0
    assert server.service.metrics.total("refused", "slow") == 1


async def test_idle_connections_are_closed_without_a_word(server: Server, clock: FakeClock) -> None:
    silent, used = await server.connect(), await server.talk(REQUEST)
    assert (await used.reply()).status == 200
    await after(server, clock, LIMITS.request_seconds - 1)
    assert server.open_connections == 2
    await after(server, clock, 3)
    assert await silent.is_closed()
    await after(server, clock, LIMITS.idle_seconds - LIMITS.request_seconds - 3)
    assert server.open_connections == 1
    await after(server, clock, 3)
    assert await used.is_closed()


async def test_a_drip_of_empty_lines_is_no_request(server: Server, clock: FakeClock) -> None:
    wire = await server.connect()
    await after(server, clock, LIMITS.request_seconds - 1, wire, b"\r\n")
    assert server.open_connections == 1
    await after(server, clock, 3, wire, b"\r\n")
    await eventually_async(lambda: server.open_connections == 0)


async def test_a_client_that_does_not_read_is_cut_and_costs_no_memory(server: Server, clock: FakeClock) -> None:
    deaf = socket.create_connection(("127.0.0.1", server.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(0)
    requests = post(b"{") * 2000

    async def shout() -> None:
        loop = asyncio.get_running_loop()
        while True:
            await loop.sock_sendall(deaf, requests)

    shouting = asyncio.create_task(shout())

    def is_cut() -> bool:
        clock.advance(1.0)
        return server.open_connections == 0 and shouting.done()

    await eventually_async(lambda: server.open_connections == 1)
    await eventually_async(is_cut)
    with pytest.raises(ConnectionError):
        await shouting
    deaf.close()
    assert server.service.metrics.total("refused", "slow") == 1


async def test_a_client_that_sends_on_after_the_end_is_cut(server: Server, clock: FakeClock) -> None:
    wire = await server.talk(post(path="/wrong"))
    assert (await wire.reply()).status == 404
    await after(server, clock, LIMITS.linger_seconds - 1, wire, b"x")
    assert server.open_connections == 1
    await after(server, clock, 3, wire, b"x")
    await eventually_async(lambda: server.open_connections == 0)


async def test_many_idle_connections_keep_no_other_from_being_served(server: Server) -> None:
    idle = [await server.connect() for _ in range(200)]
    wire = await server.talk(REQUEST)
    assert (await wire.reply()).status == 200
    assert await idle[0].is_open()


async def test_while_stopping_every_request_under_way_is_answered_and_no_connection_stays(
    server: Server, clock: FakeClock
) -> None:
    server.log.hold()
    idle, waiting, sending = await server.connect(), await server.talk(REQUEST), await server.talk(REQUEST[:-9])
    await server.has_read()
    server.service.drain()
    server.log.release()
    await sending.send(REQUEST[-9:])
    for wire in (waiting, sending):
        reply = await wire.reply()
        assert (reply.status, reply.fields["connection"]) == (200, "close")
        assert await wire.is_closed()
    clock.advance(LIMITS.goodbye_seconds + 0.2)
    assert await idle.is_closed()
    for wire in (waiting, sending):
        await wire.close()
    await eventually_async(lambda: not server.service.connections)
    assert server.service.trouble() == "shutting down"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(REQUEST, id="stored"),
        pytest.param(REQUEST[:-500], id="never whole"),
        pytest.param(post(fields="Connection: Upgrade\r\nUpgrade: h2c\r\n"), id="asked for an upgrade"),
        pytest.param(post(path="/callbacks/wrong"), id="refused"),
        pytest.param(post(b"{"), id="rejected"),
        pytest.param(post(b"{") + b"junk", id="rejected, with bytes behind it"),
        pytest.param(post(fields="X:\t\r\n", length=False, body=b""), id="no length, and a tab"),
    ],
)
async def test_a_closed_connection_is_gone_without_the_garbage_collector(server: Server, request_bytes: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        wire = await server.talk(request_bytes)
        await eventually_async(readers)
        await wire.close()
        await eventually_async(lambda: not readers())
    finally:
        gc.enable()


def readers() -> int:
    """Return how many connections this process still has in memory, open or not."""
    return sum(isinstance(one, RequestReader) for one in gc.get_objects())
