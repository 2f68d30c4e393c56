"""
The server of the pages: what it answers, and what strangers cannot do to it.
"""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from streams.contract.problems import problem
from streams.program.http_bounds import Bounds, Connection
from tests.integration.program.page_process import BOUNDS, METRICS_BYTES
from tests.support.markdown import ROOT
from tests.support.silence import (
    LIVEZ,
    LOOPBACK,
    Probe,
    ask,
    assert_that_silence_keeps_nobody_out,
    closed,
    cpu_seconds,
    listens_on,
    open_files,
    silent,
)
from tests.support.wait import eventually

LONG_SECONDS = 40


class Server:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        assert process.stdout is not None
        self.port = int(process.stdout.readline())


@contextmanager
def serving(most_files: int = 0) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.integration.program.page_process", str(most_files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ}) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def request(target: bytes, method: bytes = b"GET", rest: bytes = b"") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n" % (method, target, rest)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (request(b"/livez"), 200, b"ok\n"),
        (request(b"/livez?verbose"), 200, b"ok\n"),
        (request(b"/livez", b"HEAD"), 200, b""),
        (request(b"/readyz"), 503, problem(503, "one\ntwo")),
        (request(b"/readyz", b"HEAD"), 503, b""),
        (request(b"/"), 404, problem(404, "nothing is at this path")),
        (request(b"/livez/"), 404, None),
        (request(b"//livez"), 404, None),
        (request(b"/callbacks"), 404, None),
        (request(b"/livez", b"POST", b"Content-Length: 0\r\n"), 405, None),
        (request(b"/livez", b"DELETE"), 405, problem(405, "only GET and HEAD are answered")),
        (request(b"/livez", b"OPTIONS"), 405, None),
        (
            request(b"/livez", rest=b"Content-Length: 5\r\n") + b"12345",
            413,
            problem(413, "a request has no body here"),
        ),
        (request(b"/livez", rest=b"Transfer-Encoding: chunked\r\n"), 413, None),
        (
            request(b"/livez", rest=b"Expect: tea\r\n"),
            417,
            problem(417, "something other than 100-continue is expected"),
        ),
        (request(b"/other", rest=b"Expect: <b>\r\n"), 417, None),
        (request(b"/livez", rest=b"X: " + b"a" * 9_000 + b"\r\n"), 400, None),
        (request(b"/livez", rest=b"X: a\r\n" * 200), 400, problem(400, "no request of HTTP")),
        (request(b"/" + b"a" * 9_000), 400, None),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP \r\n\r\n", 400, None),
    ],
)
def test_a_request_has_one_answer_and_no_answer_tells_a_version(
    server: Server, sent: bytes, status: int, body: bytes | None
) -> None:
    head, _, content = ask(server.port, sent).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status))
    assert body is None or content == body
    lines = head.lower().split(b"\r\n")
    assert (b"content-type: application/problem+json" in lines) is (status != 200)
    assert [line for line in lines if line.startswith(b"allow:")] == ([b"allow: get, head"] if status == 405 else [])
    assert [line for line in lines if line.startswith(b"server:")] == [b"server: routee"]
    assert b"python" not in head.lower() + content.lower()
    assert b"aiohttp" not in head.lower() + content.lower()


def test_silent_strangers_keep_no_probe_out(server: Server) -> None:
    assert_that_silence_keeps_nobody_out(server.pid, server.port, most=BOUNDS.connections + 10)


def test_a_probe_is_answered_when_there_is_no_file_descriptor_left() -> None:
    with serving(most_files=28) as server, silent(server.port, 200), Probe(server.port) as probe:
        eventually(lambda: open_files(server.pid) >= 26)
        began, spent = time.monotonic(), cpu_seconds(server.pid)
        eventually(lambda: probe.answers > 20 and time.monotonic() - began > 2)
        assert cpu_seconds(server.pid) - spent < 0.5 * (time.monotonic() - began)
    assert probe.failed == []
    assert probe.slowest < 1.0


def test_a_probe_is_answered_when_other_work_took_every_descriptor_but_those_in_reserve() -> None:
    with serving() as server:
        most = open_files(server.pid)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, most))
        for _ in range(30):
            assert b" 200 " in ask(server.port)
        began = cpu_seconds(server.pid)
        with silent(server.port, 30), Probe(server.port) as probe:
            eventually(lambda: probe.answers > 20)
        assert probe.failed == []
        assert cpu_seconds(server.pid) - began < 3


@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(b"", b"", id="says nothing"),
        pytest.param(LIVEZ[:20], b"", id="stops in the middle of a head"),
        pytest.param(LIVEZ[:20], b"X", id="sends a byte from time to time"),
        pytest.param(LIVEZ.replace(b"close", b"keep-alive"), b"", id="is idle after an answer"),
        pytest.param(LIVEZ.replace(b"close", b"keep-alive"), b"GET / HTTP/1.1\r\nX: ", id="begins another request"),
    ],
)
def test_a_connection_that_is_too_slow_is_closed(server: Server, first: bytes, again: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(first)
        if b"keep-alive" in first:
            assert b"ok\n" in connection.recv(65_536)

        def is_closed() -> bool:
            if closed(connection):
                return True
            try:
                connection.sendall(again)
            except OSError:
                return True
            return False

        is_idle = b"keep-alive" in first and not again
        eventually(is_closed, LONG_SECONDS if is_idle else BOUNDS.idle_seconds - 2, every=0.2)


def test_a_client_that_does_not_read_is_cut_off(server: Server) -> None:
    files = open_files(server.pid)
    asked = request(b"/metrics").replace(b"close", b"keep-alive")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(asked * 5)
        eventually(lambda: open_files(server.pid) > files)
        eventually(lambda: open_files(server.pid) <= files, LONG_SECONDS)
        assert b" 200 " in ask(server.port)


def test_an_answer_of_any_length_is_complete_for_a_client_that_reads(server: Server) -> None:
    body = ask(server.port, request(b"/metrics")).partition(b"\r\n\r\n")[2]
    assert body.startswith(b"x" * METRICS_BYTES)
    assert body.endswith(b"routee_ready 0\n")


def test_one_connection_can_ask_many_times(server: Server) -> None:
    asked = LIVEZ.replace(b"close", b"keep-alive")
    assert ask(server.port, asked * 50 + LIVEZ).count(b"HTTP/1.1 200") == 51


def test_the_bounds_of_the_programs_are_seconds() -> None:
    programs = Bounds()
    assert programs.connections <= 64
    assert programs.first_byte_seconds <= programs.request_seconds <= programs.answer_seconds <= 10
    assert programs.idle_seconds <= 10


def test_it_listens_on_loopback(server: Server) -> None:
    assert listens_on(server.pid) == {server.port: LOOPBACK}


def test_the_connection_takes_no_name_of_the_library() -> None:
    theirs = {name for base in web.RequestHandler.__mro__ for name in (*vars(base), *getattr(base, "__slots__", ()))}
    assert not set(Connection.__slots__) & theirs
