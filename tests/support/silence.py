"""
Clients that connect and say nothing, and what they cost the process that they connect to.
"""

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.support.wait import eventually

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@contextmanager
def silent(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Keep so many connections within the block. None of them says a word."""
    allow_files(count + 200)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(count)]


def allow_files(count: int) -> None:
    """Let this process, the one of the tests, have so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def ask(port: int, request: bytes = LIVEZ, timeout: float = 30) -> bytes:
    """Send these bytes, and return all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listens_on(pid: int) -> dict[int, str]:
    """Return the ports that a process listens on, with the address of each, in the form of /proc: 0100007F."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()))
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                found[int(port, 16)] = address
    return found


LOOPBACK = "0100007F"


def closed(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection that it sent nothing on."""
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Probe:
    """Asks a page again and again, as a supervisor does, and keeps the longest time that an answer took."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self.answers = 0
        self.slowest = 0.0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                answer = ask(self._port)
            except OSError as error:
                answer = str(error).encode()
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.answers += 1
            if not answer.startswith(b"HTTP/1.1 200"):
                self.failed.append(answer.decode(errors="replace") or "closed without an answer")
            self._ended.wait(0.02)


def assert_that_silence_keeps_nobody_out(pid: int, port: int, *, most: int = 60) -> None:
    """
    Connect 400 times without a word: a probe is answered all the while, files and threads of the process stay bounded.

    All of these connections are closed within seconds, without a word of theirs.
    """
    files, tasks = open_files(pid), threads(pid)
    with Probe(port) as probe:
        eventually(lambda: probe.answers > 2)
        with silent(port, 400) as strangers:
            seen = probe.answers
            eventually(lambda: probe.answers > seen + 5)
            assert open_files(pid) - files < most
            assert threads(pid) - tasks < 5
            eventually(lambda: all(closed(one) for one in strangers), 30)
        eventually(lambda: open_files(pid) < files + 5)
    assert probe.failed == []
    assert probe.slowest < 1.0
