"""What clients may take of time: nobody holds a connection by being slow, silent or deaf."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator

import pytest

from ingest.http.limits import Limits
from ingest.http.reader import RequestReader
from tests.integration.ingest.wire import LIVEZ, Server, Wire, post, serving
from tests.support.wait import eventually_async

SHORT = Limits(request_s=0.5, idle_s=1.0, write_s=0.5, linger_s=0.3, goodbye_s=0.3)
REQUEST = post()


async def drip(wire: Wire, pieces: Iterator[bytes]) -> None:
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            await wire.send(piece)
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(b"POST / HTTP/1.1\r\n", b"X: a\r\n", id="slow head"),
        pytest.param(REQUEST[:-500], b"x", id="slow body"),
        pytest.param(REQUEST[:-500], b"", id="body that stops"),
        pytest.param(REQUEST + REQUEST[:-500], b"", id="body that stops, behind another"),
    ],
)
async def test_a_request_that_does_not_become_whole_is_cut_off(begin: bytes, piece: bytes) -> None:
    async with serving(SHORT) as server:
        wire = await server.talk(begin)
        dripping = asyncio.create_task(drip(wire, iter([piece] * 100)))
        reply = await wire.reply()
        if reply.status == 200:
            reply = await wire.reply()
        assert reply.status == 408
        assert await wire.is_closed()
        dripping.cancel()
        assert server.service.publisher.pending.size == 0
        assert server.service.metrics.total("refused", "slow") == 1


async def test_idle_connections_are_closed_without_a_word() -> None:
    async with serving(SHORT) as server:
        silent, used = await server.connect(), await server.talk(REQUEST)
        assert (await used.reply()).status == 200
        assert await silent.is_closed()
        assert await used.is_closed()


async def test_a_drip_of_empty_lines_is_no_request() -> None:
    async with serving(SHORT) as server:
        wire = await server.connect()
        dripping = asyncio.create_task(drip(wire, iter([b"\r\n"] * 100)))
        await eventually_async(lambda: server.service.connections)
        assert await wire.is_closed()
        dripping.cancel()


async def test_a_client_that_does_not_read_is_cut_and_costs_no_memory() -> None:
    async with serving(SHORT) as server:
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0)
        requests = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 2000

        async def shout() -> None:
            loop = asyncio.get_running_loop()
            while True:
                await loop.sock_sendall(deaf, requests)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(shout(), 60.0)
        deaf.close()
        await eventually_async(lambda: not server.service.connections)
        assert server.service.metrics.total("refused", "slow") == 1


async def test_a_client_that_sends_on_after_the_end_is_cut() -> None:
    async with serving(SHORT) as server:
        wire = await server.talk(post(path="/wrong"))
        assert (await wire.reply()).status == 404
        dripping = asyncio.create_task(drip(wire, iter([b"x"] * 100)))
        await eventually_async(lambda: not server.service.connections)
        dripping.cancel()


async def test_many_idle_connections_keep_nobody_from_being_served(server: Server) -> None:
    idle = [await server.connect() for _ in range(200)]
    wire = await server.talk(REQUEST)
    assert (await wire.reply()).status == 200
    assert await idle[0].is_open()


async def test_while_stopping_everything_under_way_is_answered_and_nobody_stays() -> None:
    async with serving(SHORT) as server:
        server.log.hold()
        idle, waiting, sending = await server.connect(), await server.talk(REQUEST), await server.talk(REQUEST[:-9])
        await eventually_async(lambda: server.service.publisher.pending.size > 1_000)
        server.service.drain()
        server.log.release()
        await sending.send(REQUEST[-9:])
        for wire in (waiting, sending):
            reply = await wire.reply()
            assert (reply.status, reply.fields["connection"]) == (200, "close")
            assert await wire.is_closed()
        assert await idle.is_closed()
        for wire in (waiting, sending):
            await wire.close()
        await eventually_async(lambda: not server.service.connections)
        assert server.service.trouble() == "shutting down"


async def test_readyz_is_503_while_stopping() -> None:
    async with serving() as server:
        wire = await server.talk(LIVEZ)
        await wire.reply()
        server.service.drain()
        await wire.send(LIVEZ.replace(b"livez", b"readyz"))
        reply = await wire.reply()
        assert (reply.status, reply.body) == (503, b"shutting down\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(REQUEST, id="stored"),
        pytest.param(REQUEST[:-500], id="never whole"),
        pytest.param(post(fields="Connection: Upgrade\r\nUpgrade: h2c\r\n"), id="asked for an upgrade"),
        pytest.param(post(path="/callbacks/wrong"), id="refused"),
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
