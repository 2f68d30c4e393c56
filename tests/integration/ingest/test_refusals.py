"""Requests that are refused: the right answer, an orderly end, and nothing stored."""

import asyncio
import gzip
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.ingest.wire import MAX_BODY, PATH, SECRET, Server, callback, chunked, post, serving
from tests.support.problems import problem_in

PAGES = (b"/livez", b"/readyz", b"/metrics")

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
    told = problem_in(reply.fields["content-type"], reply.status, reply.body)
    # A stranger, and a client without the secret, learn nothing about it.
    assert ("detail" in told) is (reply.status not in {403, 404})
    assert await wire.is_closed()
    sending.cancel()
    assert not server.stored_bytes


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(post(path="/callbacks"), 404, id="no secret"),
        pytest.param(post(path="/callbacks/" + "0" * 32), 404, id="wrong secret"),
        pytest.param(post(path=f"/callbacks?secret={SECRET}"), 404, id="secret in the query"),
        pytest.param(post(path="/callbacks/%2530" + SECRET[1:]), 404, id="secret encoded twice"),
        pytest.param(post(path=f"/callbacks%2F{SECRET}"), 404, id="encoded slash"),
        pytest.param(post(path=f"/x/../callbacks/{SECRET}"), 404, id="dots"),
        pytest.param(post(path="/"), 404, id="root"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 404, id="connect"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, id="options"),
        pytest.param(f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 405, id="get"),
        pytest.param(REQUEST.replace(b"POST", b"PUT"), 405, id="put"),
        pytest.param(post(path="/livez"), 404, id="post to a page"),
        *[pytest.param(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % page, 404, id=f"{page!r}") for page in PAGES],
        pytest.param(post(path=f"/{SECRET}/callbacks"), 404, id="secret before the path"),
        pytest.param(post(path=f"{PATH}/more"), 404, id="more than the secret"),
        pytest.param(post(path=f"{PATH}%2F"), 404, id="encoded slash at the end"),
        pytest.param(post(path=f"{PATH}#x"), 404, id="fragment"),
        pytest.param(post(path=f"/Callbacks/{SECRET}"), 404, id="upper case"),
        pytest.param(with_field("Expect: tea"), 417, id="expect tea"),
        pytest.param(post(b"\x8b\x02\x80{}\x03", "Content-Encoding: br\r\n"), 415, id="brotli"),
        pytest.param(post(b"{}", "Content-Encoding: utf-8\r\n"), 415, id="no callback in an unknown encoding"),
        pytest.param(post(b"", "Content-Encoding: deflate\r\n"), 415, id="nothing in an unknown encoding"),
        pytest.param(
            post(gzip.compress(b"{}"), "Content-Encoding: gzip, gzip\r\n"), 415, id="gzip, gzip of no callback"
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
        *[
            pytest.param(REQUEST.replace(b"Host: a", b"Host: " + host), id=f"host {host!r}")
            for host in (
                b"a, b",
                b"a b",
                b"u@a",
                b"a/b",
                b"a:b",
                b"a:80:80",
                b"::1",
                b"[::1",
                b"[a/b]",
                b"<a>",
                b"\xe4",
            )
        ],
        pytest.param(REQUEST.replace(b"Content-Length:", b"Content-Length\t:"), id="tab before the colon"),
        pytest.param(REQUEST.replace(b"POST ", b"POST\t"), id="tab behind the method"),
        pytest.param(REQUEST.replace(b"POST", b"post"), id="method in lower case"),
        pytest.param(with_field("X: a\r\n\tb"), id="folded field with a tab"),
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


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "fields",
    [
        "",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Proxy-Connection: close\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Content-Encoding: gzip\r\n",
        "Content-Type: application/json\r\n",
    ],
)
@pytest.mark.parametrize("body", [BODY, b""])
async def test_a_post_that_tells_no_length_is_refused(server: Server, version: str, fields: str, body: bytes) -> None:
    request = post(body, fields, length=False).replace(b"HTTP/1.1", b"HTTP/" + version.encode())
    await assert_refused(server, request, 411)
    assert server.service.metrics.total("refused", "no-length") == 1


async def test_a_post_that_tells_no_length_is_not_asked_for_its_body(server: Server) -> None:
    await assert_refused(server, post(b"", "Expect: 100-continue\r\n", length=False), 411)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param("Content-Length:\r\n", id="empty length"),
        pytest.param("Content-Length: \t \r\n", id="length of white space"),
        pytest.param("Transfer-Encoding:\r\n", id="empty coding"),
        pytest.param("Transfer-Encoding: identity\r\n", id="identity"),
        pytest.param("Transfer-Encoding: gzip\r\n", id="a coding that is not chunked"),
        pytest.param("Content-Length:\r\nTransfer-Encoding: chunked\r\n", id="empty length and chunked"),
    ],
)
@pytest.mark.parametrize("version", ["0.9", "1.0", "1.1"])
async def test_a_length_that_is_none_is_refused(server: Server, fields: str, version: str) -> None:
    request = post(BODY, fields, length=False).replace(b"HTTP/1.1", b"HTTP/" + version.encode())
    await assert_refused(server, request, 400, 501)


GZIP = "Content-Encoding: gzip\r\n"
TOO_SHORT = [
    pytest.param(lambda body: post(b"") + body, 0, id="a length of zero"),
    pytest.param(lambda body: post(b"", "Connection: close\r\n") + body, 0, id="a length of zero, last request"),
    pytest.param(lambda body: (post(b"") + body).replace(b"HTTP/1.1", b"HTTP/1.0"), 0, id="a length of zero, 1.0"),
    pytest.param(lambda body: post(body[:-1]) + body[-1:], 1, id="a byte too few"),
    pytest.param(lambda body: post(body[:-9], "Connection: close\r\n") + body[-9:], 1, id="too few, last request"),
    pytest.param(lambda body: post(body[:20]) + body[20:], 0, id="too few for a status"),
    pytest.param(lambda body: post(body[:-9], "Connection: Upgrade\r\nUpgrade: h2c\r\n") + body[-9:], 1, id="upgrade"),
    pytest.param(lambda body: chunked(body[:-9]) + body[-9:], 1, id="behind the last chunk"),
    pytest.param(lambda body: post(gzip.compress(body)[:-9], GZIP) + gzip.compress(body)[-9:], 1, id="gzip"),
]
"""Requests of a body, and how many callbacks of it are kept: a repaired one is, since its status can be read."""


@pytest.mark.parametrize(("request_of", "kept"), TOO_SHORT)
async def test_a_body_with_bytes_behind_its_told_length_is_no_200(
    server: Server, request_of: Callable[[bytes], bytes], kept: int
) -> None:
    """A 200 would say that the callback was taken, of which a part was thrown away. Routee sends it again."""
    body = callback(text="Γειά", status="Delivered", label="the end")
    wire = await server.talk(request_of(body))
    reply = await wire.reply()
    assert (reply.status, reply.fields["connection"]) == (400, "close")
    assert await wire.is_closed()
    assert [stored["messageId"] for stored in server.callbacks] == [json.loads(body)["messageId"]] * kept
    assert server.service.metrics.total("refused", "malformed") == 1


@pytest.mark.parametrize(("request_of", "kept"), TOO_SHORT)
async def test_the_answers_before_such_a_body_are_given_first(
    server: Server, request_of: Callable[[bytes], bytes], kept: int
) -> None:
    server.log.hold()
    wire = await server.talk(post() + post(b"{") + post() + request_of(callback(status="Delivered", label="the end")))
    await server.has_read()
    server.log.release()
    assert await wire.statuses(4) == [200, 200, 200, 400]
    assert await wire.is_closed()
    assert len(server.callbacks) == 2 + kept


async def test_bytes_that_come_while_such_a_body_is_being_stored_count_too(server: Server) -> None:
    server.log.hold()
    wire = await server.talk(post(BODY[:-9]))
    await server.has_read()
    await wire.send(BODY[-9:])
    await server.has_read()
    server.log.release()
    assert (await wire.reply()).status == 400
    assert await wire.is_closed()


async def test_bytes_behind_a_whole_callback_take_nothing_from_it(server: Server) -> None:
    wire = await server.talk(REQUEST + b"junk")
    assert await wire.statuses(2) == [200, 400]
    wire = await server.talk(post(BODY, "Connection: close\r\n") + b"junk")
    assert (await wire.reply()).status == 200
    assert await wire.is_closed()
    wire = await server.talk(post(b"{") + REQUEST + b"junk")
    assert await wire.statuses(3) == [200, 200, 400]
    assert len(server.callbacks) == 3


async def test_empty_lines_behind_a_body_are_no_part_of_it(server: Server) -> None:
    wire = await server.talk(post(b"") + b"\r\n\r\n" + REQUEST + b"\r\n")
    assert await wire.statuses(2) == [200, 200]
    assert await wire.is_open()


async def test_a_slowly_growing_head_is_refused(server: Server) -> None:
    wire = await server.talk(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ", *[b"a" * 8000] * 5)
    assert (await wire.reply()).status == 431
    assert await wire.is_closed()


@pytest.mark.parametrize("path", [PATH, "/callbacks", "/"])
async def test_an_answer_to_head_tells_of_a_body_and_has_none(server: Server, path: str) -> None:
    wire = await server.talk(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    reply = await wire.reply(head=True)
    assert reply.status == (405 if path == PATH else 404)
    assert int(reply.fields["content-length"]) > 0
    assert await wire.is_closed()


async def test_refusals_are_counted_by_cause_and_not_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        wire = await server.talk(post(fields="Expect: tea\r\n"))
        assert (await wire.reply()).status == 417
    assert server.service.metrics.total("refused", "expectation") == 20
    assert not caplog.records


async def test_posts_to_a_wrong_path_are_logged_once_with_the_right_one(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/callbacks", f"/{SECRET}/callbacks", f"{PATH}%2F", f"/callbacks/{'0' * 32}"):
        wire = await server.talk(post(path=path))
        assert (await wire.reply()).status == 404
    assert server.service.metrics.total("refused", "not-found") == 4
    (record,) = caplog.records
    assert "/callbacks/***" in record.getMessage()
    assert SECRET not in caplog.text


async def test_405_and_415_name_the_alternative(server: Server) -> None:
    wire = await server.talk(REQUEST.replace(b"POST", b"PUT"))
    assert (await wire.reply()).fields["allow"] == "post"
    wire = await server.talk(post(b"\x8b\x02\x80{}\x03", "Content-Encoding: br\r\n"))
    assert (await wire.reply()).fields["accept-encoding"] == "gzip"


async def test_a_proxy_is_no_client_that_may_post_by_itself() -> None:
    async with serving(ingest_allowed_networks="192.0.2.0/24", ingest_trusted_proxies="127.0.0.0/8") as server:
        await assert_refused(server, REQUEST, 403)
        await assert_refused(server, post(BODY, "X-Forwarded-For: 198.51.100.7\r\n"), 403)
        assert server.service.metrics.total("refused", "address") == 2


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


async def test_unfinished_bodies_count_as_pending() -> None:
    async with serving(ingest_max_pending_bytes=100_000) as server:
        wires = [await server.talk(post(b"x" * 60_000)[:-20_000]) for _ in range(2)]
        wires += [await server.talk(post(b"x" * 60_000)[:-20_000])]
        assert (await wires[2].reply()).status == 503
        assert await wires[2].is_closed()
        for wire in wires[:2]:
            await wire.send(b"x" * 20_000)
            assert (await wire.reply()).status in {200, 503}
