"""Requests that are refused: the right answer, an orderly end, and nothing stored."""

import asyncio
import gzip
import socket
from typing import Any

import pytest

from tests.integration.ingest.wire import MAX_BODY, PATH, SECRET, Server, callback, chunked, post, serving

BODY = callback()
REQUEST = post(BODY)
CHUNKED = "Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def with_field(field: str) -> bytes:
    return post(BODY, field + "\r\n")


async def assert_refused(server: Server, request: bytes, *statuses: int) -> None:
    wire = await server.connect()
    sending = asyncio.create_task(wire.send(request))
    reply = await wire.reply()
    assert reply.status in statuses
    assert reply.fields["connection"] == "close"
    assert SECRET.encode() not in reply.body
    assert await wire.is_closed()
    sending.cancel()
    assert not server.stored_bytes


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(post(path="/callbacks"), 404, id="no secret"),
        pytest.param(post(path="/callbacks/" + "0" * 32), 404, id="wrong secret"),
        pytest.param(post(path=f"/callbacks?secret={SECRET}"), 404, id="secret in the query"),
        pytest.param(post(path="/callbacks/%30" + SECRET[1:]), 404, id="encoded secret"),
        pytest.param(post(path=f"/callbacks%2F{SECRET}"), 404, id="encoded slash"),
        pytest.param(post(path=f"/x/../callbacks/{SECRET}"), 404, id="dots"),
        pytest.param(post(path="/"), 404, id="root"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 404, id="connect"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, id="options"),
        pytest.param(f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 405, id="get"),
        pytest.param(REQUEST.replace(b"POST", b"PUT"), 405, id="put"),
        pytest.param(post(path="/livez"), 405, id="post to a page"),
        pytest.param(with_field("Expect: tea"), 417, id="expect tea"),
        pytest.param(with_field("Content-Encoding: br"), 415, id="brotli"),
        pytest.param(
            post(gzip.compress(gzip.compress(BODY)), "Content-Encoding: gzip, gzip\r\n"), 415, id="gzip twice"
        ),
        pytest.param(post(b"x" * (MAX_BODY + 1)), 413, id="too large"),
        pytest.param(post(b"x" * 5_000_000), 413, id="too large, all of it sent"),
        pytest.param(
            post(b"x" * 99, f"Expect: 100-continue\r\nX: {'y' * 9}\r\n").replace(b": 99", b": 99999999"),
            413,
            id="too large, asked before",
        ),
        pytest.param(chunked(b"x" * MAX_BODY, b"x"), 413, id="too large in chunks"),
        pytest.param(post(gzip.compress(b"\x00" * 60_000_000), "Content-Encoding: gzip\r\n"), 413, id="bomb"),
        pytest.param(post(b"", CHUNKED, length=False) + b"5;" + b"a" * 3_000_000, 413, id="endless chunk extension"),
        pytest.param(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 400_000, 431, id="endless field"),
        pytest.param(b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431, id="many fields"),
        pytest.param(
            b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"a" * 2000) * 20 + b"\r\n", 431, id="long fields"
        ),
        pytest.param(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="long target"),
        pytest.param(b"GET /" + b"a" * 900_000, 414, id="endless target"),
    ],
)
async def test_refused_with_its_status(server: Server, request_: bytes, status: int) -> None:
    await assert_refused(server, request_, status)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(with_field("Transfer-Encoding: chunked"), id="length and chunked"),
        pytest.param(post(b"", CHUNKED + "Content-Length: 3\r\n", length=False) + CHUNKS, id="chunked and length"),
        pytest.param(with_field("Content-Length: 3"), id="two lengths"),
        pytest.param(with_field(f"Content-Length: {len(BODY)}"), id="a length twice"),
        pytest.param(REQUEST.replace(b"Content-Length: ", b"Content-Length: 3, "), id="list of lengths"),
        pytest.param(REQUEST.replace(b"Content-Length: ", b"Content-Length: +"), id="plus"),
        pytest.param(REQUEST.replace(b"Content-Length: ", b"Content-Length: -"), id="minus"),
        pytest.param(REQUEST.replace(b"Content-Length: ", b"Content-Length: 0x"), id="hexadecimal"),
        pytest.param(REQUEST.replace(b"Content-Length: ", b"Content-Length: 99999999999999999999999"), id="huge"),
        pytest.param(with_field("X: a\r\n b"), id="folded field"),
        pytest.param(post(b"", "Transfer-Encoding:\r\n chunked\r\n", length=False) + CHUNKS, id="folded coding"),
        pytest.param(REQUEST.replace(b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(REQUEST.replace(b"Host: a\r\n", b"Host: a\n"), id="one bare line feed"),
        pytest.param(REQUEST.replace(b"Host: a\r\n", b"Host: a\rX: b\r\n"), id="bare carriage return"),
        pytest.param(REQUEST.replace(b"Content-Length:", b"Content-Length :"), id="space before the colon"),
        pytest.param(with_field("X: a\0b"), id="NUL"),
        pytest.param(with_field("Transfer-Encoding: identity"), id="identity"),
        pytest.param(post(b"", "Transfer-Encoding: xchunked\r\n", length=False) + CHUNKS, id="xchunked"),
        pytest.param(post(b"", "Transfer-Encoding: gzip, chunked\r\n", length=False) + CHUNKS, id="gzip, chunked"),
        pytest.param(post(b"", CHUNKED + CHUNKED, length=False) + CHUNKS, id="chunked twice"),
        pytest.param(post(b"", "Transfer-Encoding: \x0bchunked\r\n", length=False) + CHUNKS, id="vertical tab"),
        pytest.param(post(b"", CHUNKED, length=False) + b"zz\r\n", id="junk chunk size"),
        pytest.param(post(b"", CHUNKED, length=False) + b"fffffffffffffffff\r\n", id="huge chunk size"),
        pytest.param(post(b"", CHUNKED, length=False) + b"2\r\n{}X", id="chunk without its end"),
        pytest.param(post(b"", CHUNKED, length=False) + CHUNKS.replace(b"\r\n", b"\n"), id="chunk line feeds"),
        pytest.param(REQUEST.replace(b"Host: a\r\n", b""), id="no host"),
        pytest.param(with_field("Host: b"), id="two hosts"),
        pytest.param(REQUEST.replace(b"HTTP/1.1", b"HTTP/2.0"), id="HTTP/2.0"),
        pytest.param(REQUEST.replace(b"HTTP/1.1", b"HTTP/0.9"), id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(b"GET /livez\r\n\r\n", id="no version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
        pytest.param((post(b"", CHUNKED, length=False) + CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"), id="chunked, 1.0"),
    ],
)
async def test_a_request_that_two_servers_could_read_differently_is_refused(server: Server, request_: bytes) -> None:
    await assert_refused(server, request_, 400, 413, 501)


async def test_a_slowly_growing_head_is_refused(server: Server) -> None:
    wire = await server.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ", *[b"a" * 8000] * 5)
    assert (await wire.reply()).status == 431
    assert await wire.is_closed()


async def test_refusals_are_counted_by_cause_and_not_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        wire = await server.talk(post(path="/callbacks/" + "0" * 32))
        assert (await wire.reply()).status == 404
    assert server.service.metrics.total("refused", "not-found") == 20
    assert not caplog.records


async def test_405_and_415_name_the_alternative(server: Server) -> None:
    wire = await server.talk(REQUEST.replace(b"POST", b"PUT"))
    assert (await wire.reply()).fields["allow"] == "post"
    wire = await server.talk(with_field("Content-Encoding: br"))
    assert (await wire.reply()).fields["accept-encoding"] == "gzip"


async def test_addresses_outside_the_allowed_networks_are_refused() -> None:
    async with serving(ingest_allowed_networks="192.0.2.0/24") as server:
        await assert_refused(server, REQUEST, 403)
        await assert_refused(server, post(BODY, "X-Forwarded-For: 192.0.2.1\r\n"), 403)
        assert server.service.metrics.total("refused", "address") == 2
        wire = await server.connect()
        assert await wire.is_open(), "pages are for every address"


async def test_behind_a_trusted_proxy_every_request_is_judged_by_its_own_address() -> None:
    async with serving(ingest_allowed_networks="192.0.2.0/24", ingest_trusted_proxies="127.0.0.0/8") as server:
        wire = await server.talk(*[post(BODY, "X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n")] * 3)
        assert await wire.statuses(3) == [200] * 3
        assert not server.service.known_heads
        await wire.send(post(BODY, "X-Forwarded-For: 192.0.2.1, 198.51.100.7\r\n"))
        assert (await wire.reply()).status == 403
        assert await wire.is_closed()


async def test_a_connection_whose_address_was_allowed_is_judged_again_when_the_addresses_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(ingest_allowed_networks="callbacks.example") as server:
        allowlist = server.service.allowlist
        assert allowlist is not None
        addresses = ["127.0.0.1"]

        async def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        await allowlist.refresh()
        wire = await server.talk(*[REQUEST] * 3)
        assert await wire.statuses(3) == [200] * 3
        assert server.service.known_heads
        addresses[:] = ["192.0.2.1"]
        await allowlist.refresh()
        await wire.send(REQUEST)
        assert (await wire.reply()).status == 403


async def test_more_connections_than_allowed_are_turned_away() -> None:
    async with serving(ingest_max_connections=2) as server:
        wires = [await server.connect() for _ in range(2)]
        assert all([await wire.is_open() for wire in wires])
        one_more = await server.connect()
        assert (await one_more.reply()).status == 503
        assert await one_more.is_closed()
        assert all([await wire.is_open() for wire in wires])


async def test_unfinished_bodies_count_as_pending() -> None:
    async with serving(ingest_max_pending_bytes=100_000) as server:
        wires = [await server.talk(post(b"x" * 60_000)[:-20_000]) for _ in range(2)]
        wires += [await server.talk(post(b"x" * 60_000)[:-20_000])]
        assert (await wires[2].reply()).status == 503
        assert await wires[2].is_closed()
        for wire in wires[:2]:
            await wire.send(b"x" * 20_000)
            assert (await wire.reply()).status in {200, 503}
