"""Strangers who connect, wait, hang in a handshake or guess: the port stays free for Routee."""

import asyncio
import errno
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import Mock

import pytest

from ingest.http.limits import Limits
from ingest.listener import take_last_connections
from tests.integration.ingest.test_tls import CERT, contexts
from tests.integration.ingest.wire import NO_CALLBACK, SECRET, Server, Wire, post, serving
from tests.support.clock import FakeClock
from tests.support.silence import closed
from tests.support.wait import eventually_async

LIMITS = Limits()
STRANGER, ROUTEE = "127.0.0.7", "127.0.0.9"
WRONG = post(path=f"/callbacks/{'0' * 32}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@contextmanager
def connected(server: Server, count: int, source: str = STRANGER) -> Iterator[list[socket.socket]]:
    """Give connections of a client that says nothing, each from a port of its own."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 30, (source, 0)))
            for _ in range(count)
        ]


async def from_address(server: Server, source: str, *parts: bytes, tls: ssl.SSLContext | None = None) -> Wire:
    """Return a connection from an address, on which the parts were sent."""
    wire = Wire(
        *await asyncio.open_connection(
            "127.0.0.1", server.port, local_addr=(source, 0), ssl=tls, server_hostname="localhost" if tls else None
        )
    )
    await wire.send(*parts)
    return wire


async def test_strangers_are_closed_at_once_and_cost_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ingest_allowed_networks=ROUTEE, ingest_max_connections=2) as server:
        with connected(server, 50) as strangers:
            await eventually_async(lambda: all(map(closed, strangers)))
            assert len(server.service.connections) == 0
            wire = await from_address(server, ROUTEE, post())
            assert (await wire.reply()).status == 200
            await wire.close()
        assert server.service.metrics.total("refused", "address") == 50
        (line,) = [record for record in caplog.records if "closed" in record.getMessage()]
        assert line.getMessage().endswith(f"the last one came from {STRANGER}")


async def test_behind_a_proxy_the_other_peers_are_judged_when_they_connect() -> None:
    async with serving(ingest_allowed_networks="192.0.2.0/24", ingest_trusted_proxies=ROUTEE) as server:
        with connected(server, 1) as strangers:
            await eventually_async(lambda: all(map(closed, strangers)))
        wire = await from_address(server, ROUTEE, post(fields="X-Forwarded-For: 192.0.2.1\r\n"))
        assert (await wire.reply()).status == 200
        await wire.close()


async def test_silent_connections_make_room_for_one_that_posts() -> None:
    async with serving(ingest_max_connections=20) as server:
        with connected(server, 50) as strangers:
            wires = [await from_address(server, ROUTEE, post()) for _ in range(3)]
            for wire in wires:
                assert (await wire.reply()).status == 200
            await eventually_async(lambda: sum(map(closed, strangers)) == 33)
            assert len(server.service.connections) == 20
            assert server.service.metrics.total("refused", "connections") == 33
            for wire in wires:
                await wire.close()


async def test_connections_that_had_a_callback_outlive_silent_ones() -> None:
    async with serving(ingest_max_connections=20) as server:
        wires = [await from_address(server, ROUTEE, post()) for _ in range(10)]
        for wire in wires:
            assert (await wire.reply()).status == 200
        with connected(server, 200):
            for wire in wires:
                await wire.send(post())
                assert (await wire.reply()).status == 200
                await wire.close()


async def test_no_callback_under_way_is_given_up_for_a_new_connection() -> None:
    async with serving(ingest_max_connections=4) as server:
        server.log.hold()
        waiting = [await from_address(server, ROUTEE, post()) for _ in range(2)]
        sending = [await from_address(server, ROUTEE, post()[:-9]) for _ in range(2)]
        await eventually_async(lambda: len(server.service.connections) == 4)
        await eventually_async(lambda: server.service.pending.size > 2_000)
        with connected(server, 50) as strangers:
            await eventually_async(lambda: all(map(closed, strangers)))
        server.log.release()
        for wire in sending:
            await wire.send(b"x" * 9)
        for wire in waiting + sending:
            assert (await wire.reply()).status == 200
            await wire.close()


async def test_an_address_has_a_bound_of_its_own_and_a_proxy_has_none() -> None:
    async with serving(ingest_max_connections_per_address=5, ingest_trusted_proxies=ROUTEE) as server:
        with connected(server, 20) as strangers, connected(server, 20, ROUTEE) as proxied:
            await eventually_async(lambda: sum(map(closed, strangers)) == 15)
            assert not any(map(closed, proxied))
            assert len(server.service.connections) == 25
            wire = await from_address(server, STRANGER, post())
            assert (await wire.reply()).status == 200, "its own silent connections make room"
            await wire.close()


async def test_guesses_are_answered_late_and_the_right_secret_of_the_same_address_at_once(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(clock=clock, ingest_max_connections_per_address=50) as server:
        for _ in range(100):
            wire = await from_address(server, STRANGER, WRONG)
            assert (await wire.reply()).status == 404
            await wire.close()
        guesses = [await from_address(server, STRANGER, WRONG) for _ in range(200)]
        total = server.service.metrics.total
        await eventually_async(lambda: total("refused", "guess") == 200)
        wire = await from_address(server, STRANGER, post())
        assert (await wire.reply()).status == 200
        await wire.close()
        other = await from_address(server, ROUTEE, WRONG)
        assert (await other.reply()).status == 404, "an address that has not guessed"
        await other.close()
        clock.advance(LIMITS.guess_seconds - 0.5)
        await server.has_read()
        assert not any(wire.reader.at_eof() or wire.reader._buffer for wire in guesses)  # type: ignore[attr-defined]
        clock.advance(2.0)
        for wire in guesses:
            assert (await wire.reply()).status == 404
            assert await wire.is_closed()
            await wire.close()
        assert total("refused", "not-found") == 101
        assert "0" * 32 not in caplog.text
        assert sum("guess" in record.getMessage() for record in caplog.records) == 1
        clock.advance(61.0)
        wire = await from_address(server, STRANGER, WRONG)
        assert (await wire.reply()).status == 404, "a minute without a guess"
        await wire.close()


async def test_at_the_end_a_refusal_is_held_back_no_longer(clock: FakeClock) -> None:
    async with serving(clock=clock) as server:
        guesses = [await from_address(server, STRANGER, WRONG) for _ in range(101)]
        await eventually_async(lambda: server.service.metrics.total("refused", "guess") == 1)
        server.service.drain()
        clock.advance(0.2)
        for wire in guesses:
            assert (await wire.reply()).status == 404
            await wire.close()


async def test_behind_a_proxy_the_client_guesses_and_not_the_proxy() -> None:
    def guess(client: str) -> bytes:
        return post(path="/callbacks/wrong", fields=f"X-Forwarded-For: {client}\r\n")

    async with serving(ingest_trusted_proxies=ROUTEE) as server:
        for number in range(150):
            wire = await from_address(server, ROUTEE, guess("192.0.2.1"))
            if number < 100:
                assert (await wire.reply()).status == 404
            await wire.close()
        wire = await from_address(server, ROUTEE, guess("192.0.2.2"))
        assert (await wire.reply()).status == 404
        await wire.close()
        total = server.service.metrics.total
        await eventually_async(lambda: total("refused", "guess") + total("refused", "not-found") == 151)
        assert total("refused", "not-found") == 101


async def test_handshakes_count_and_the_oldest_goes_first() -> None:
    server_side, client_side = contexts()
    async with serving(tls=(server_side, client_side), ingest_max_connections=20) as server:
        with connected(server, 50) as stalled:
            await eventually_async(lambda: sum(map(closed, stalled)) >= 30)
            wire = await from_address(server, ROUTEE, post(), tls=client_side)
            assert (await wire.reply()).status == 200
            assert len(server.service.connections) == 20
            assert sum(map(closed, stalled)) == 31
            await wire.close()


async def test_strangers_begin_no_handshake() -> None:
    async with serving(tls=contexts(), ingest_allowed_networks=ROUTEE) as server:
        with connected(server, 10) as strangers:
            await eventually_async(lambda: all(map(closed, strangers)))
        assert server.service.metrics.total("refused", "address") == 10
        assert server.service.metrics.total("refused", "handshake") == 0


async def test_a_handshake_that_stalls_ends_in_time() -> None:
    limits = Limits(request_seconds=0.2)
    async with serving(limits, tls=contexts()) as server:
        with connected(server, 5) as stalled:
            await eventually_async(lambda: all(map(closed, stalled)))
            await eventually_async(lambda: len(server.service.connections) == 0)
            assert server.service.metrics.total("refused", "handshake") == 5


@pytest.fixture
async def tls_server() -> AsyncIterator[Server]:
    async with serving(tls=contexts(), ingest_max_connections=100) as running:
        yield running


async def test_a_client_without_tls_is_ended_and_counted(tls_server: Server) -> None:
    with connected(tls_server, 1) as clients:
        clients[0].sendall(NO_CALLBACK)
        await eventually_async(lambda: tls_server.service.metrics.total("refused", "handshake") == 1)
        await eventually_async(lambda: len(tls_server.service.connections) == 0)


async def test_at_the_end_a_handshake_under_way_is_waited_for(tls_server: Server) -> None:
    """The bytes of a client go through a pair of memories, so that the test says when they leave."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=CERT).wrap_bio(incoming, outgoing, server_hostname="localhost")
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_server.port)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    await eventually_async(lambda: len(tls_server.service.connections) == 1)
    tls_server.service.drain()
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        writer.write(outgoing.read())
        incoming.write(await reader.read(65_536))
        try:
            client.do_handshake()
            if not answer:
                answer = b" "
                client.write(post())
            answer += client.read(65_536)
        except ssl.SSLWantReadError:
            pass
    assert answer.startswith(b" HTTP/1.1 200")
    assert b"connection: close" in answer
    writer.close()


async def test_at_the_end_a_stalled_handshake_is_not_waited_for(clock: FakeClock) -> None:
    async with serving(clock=clock, tls=contexts()) as server:
        with connected(server, 3) as stalled:
            await eventually_async(lambda: len(server.service.connections) == 3)
            server.service.drain()
            clock.advance(LIMITS.goodbye_seconds - 0.2)
            assert not any(map(closed, stalled))
            clock.advance(0.5)
            await eventually_async(lambda: all(map(closed, stalled)))


async def test_without_descriptors_silent_connections_make_room_and_the_loop_rests(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(clock=clock) as server:
        with connected(server, 3) as strangers:
            await eventually_async(lambda: len(server.service.connections) == 3)
            accept, tries = socket.socket.accept, 0

            def fail(_listener: socket.socket) -> object:
                nonlocal tries
                tries += 1
                raise OSError(errno.EMFILE, "Too many open files")

            monkeypatch.setattr(socket.socket, "accept", fail)
            routee = await from_address(server, ROUTEE, post())
            await eventually_async(lambda: all(map(closed, strangers)))
            assert tries == 1
            assert "no connection can be taken: Too many open files" in caplog.text
            monkeypatch.setattr(socket.socket, "accept", accept)
            clock.advance(0.2)
            assert (await routee.reply()).status == 200
            await routee.close()


@pytest.mark.parametrize("refused", [False, True])
async def test_the_last_connections_are_taken_before_the_socket_is_closed(
    monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    """Also where the kernel refuses the filter to a user who is not root, as that of the image."""
    if refused:
        monkeypatch.setattr("ingest.listener._drop_packets", Mock(side_effect=PermissionError))
    async with serving() as server:
        wires = [await from_address(server, ROUTEE, post()) for _ in range(20)]
        await take_last_connections(server.listener)
        server.service.drain()
        for wire in wires:
            assert (await wire.reply()).status == 200
            await wire.close()


async def test_a_rejection_whose_bytes_may_hold_a_secret_is_stored_without_them() -> None:
    async with serving() as server:
        hidden = gzip.compress(f'["https://x.example/callbacks/{SECRET}"'.encode())[:-9]
        wire = await server.talk(post(hidden), post(b"[1]"))
        assert await wire.statuses(2) == [200, 200]
        first, second = server.rejections
        assert (first["body"], second["body"]) == ("", "[1]")
        assert first["detail"].endswith("; its bytes are not kept, since a secret in them cannot be masked for sure")
