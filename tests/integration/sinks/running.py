"""
`routee-sinks` as a process, and a wire to ClickHouse that can be cut.
"""

import os
import re
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import orjson

from tests.support.endings import tell_ending
from tests.support.forks import ForkedCommand, preload
from tests.support.problems import lines_of
from tests.support.wait import eventually

# Arrow is not among them: its threads would not be in the forked processes.
preload("sinks.cli")


class Sink:
    """One running command, and its output."""

    def __init__(self, command: str, environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._log = log
        log.touch()
        self.process = ForkedCommand("sinks", [command], {**os.environ, **environment}, log)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in self._log.read_bytes().splitlines() if line.startswith(b"{")]

    @property
    def messages(self) -> list[str]:
        return [str(line["message"]) for line in self.lines]

    @property
    def text(self) -> list[str]:
        """Return the lines as they are: output for people, and no log."""
        return self._log.read_text().splitlines()

    def said(self, text: str) -> bool:
        return any(text in message for message in self.messages)

    @property
    def port(self) -> int:
        return int(str(eventually(lambda: [line for line in self.lines if "admin_port" in line], 60)[-1]["admin_port"]))

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, lines_of(error)

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def tell_ending(self) -> None:
        """Print how the process ended, if it has and was not killed."""
        tell_ending(f"routee-sinks {self._command}", self.process.poll(), self._log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to stop, and return its exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(60), time.monotonic() - began


class Running:
    """Starts sinks, each with a log of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self.environment = environment
        self._started: list[Sink] = []

    def start(self, command: str, **environment: str) -> Sink:
        log = self._folder / f"sink-{len(self._started)}.log"
        sink = Sink(command, {**self.environment, **environment}, log)
        self._started.append(sink)
        return sink

    def kill_all(self) -> None:
        for sink in self._started:
            sink.tell_ending()
            if sink.process.poll() is None:
                sink.kill()


class Wire:
    """
    A TCP proxy before ClickHouse.

    Cut, it closes every connection and accepts none. `refusal` answers inserts itself with an error of ClickHouse,
    `lie` with these bytes, after which it closes the connection. `strip` takes a header out of ClickHouse's answers.
    `cut_after` closes connections in the middle of a request, after so many bytes of it. `swallow` lets requests
    through and closes the connection in place of the answer. `delay` seconds pass before each request goes on.
    """

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._target = (split.hostname, split.port)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self.cut_after: int | None = None
        self.swallow = False
        self.delay = 0.0
        self.swallowed = 0
        self.refusal: tuple[int, str] | None = None
        self.lie: bytes | None = None
        self.strip: bytes | None = None
        self.refused = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut = True
        with self._lock:
            for connection in self._open:
                _hang_up(connection)
            self._open.clear()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                _hang_up(client)
            else:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()
        passed = 0
        while request := self._request(client):
            passed += len(request)
            if self.refusal and b"INSERT+INTO" in request:
                self._refuse(client, *self.refusal)
                break
            if self.lie is not None and b"INSERT+INTO" in request:
                self.refused += 1
                client.sendall(self.lie)
                break
            if self.cut_after is not None and passed > self.cut_after:
                server.sendall(request[: self.cut_after])
                break
            time.sleep(self.delay)
            server.sendall(request)
        _hang_up(client)
        _hang_up(server)

    @staticmethod
    def _request(client: socket.socket) -> bytes:
        """Read one whole request."""
        request = bytearray()
        while b"\r\n\r\n" not in request:
            if not (data := _receive(client)):
                return b""
            request += data
        head = request.partition(b"\r\n\r\n")[0]
        while not _is_whole(head, request) and (data := _receive(client)):
            request += data
        return bytes(request)

    def _refuse(self, client: socket.socket, code: int, name: str) -> None:
        text = f"Code: {code}. DB::Exception: Refused by the wire. ({name}) (version 1)\n".encode()
        answer = f"HTTP/1.1 500 Refused\r\nContent-Length: {len(text)}\r\nX-ClickHouse-Exception-Code: {code}\r\n\r\n"
        self.refused += 1
        client.sendall(answer.encode() + text)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        while data := _receive(server):
            if self.swallow:
                self.swallowed += 1
                _hang_up(client)
                return
            if self.strip:
                data = re.sub(rb"\r\n%b:[^\r]*" % self.strip, b"", data, flags=re.IGNORECASE)
            try:
                client.sendall(data)
            except OSError:
                return
        _hang_up(client)  # as the server did


def _is_whole(head: bytearray, request: bytearray) -> bool:
    """Return whether the body is complete: in chunks up to the empty one, or in one piece."""
    if b"transfer-encoding: chunked" in head.lower():
        return request.endswith(b"\r\n0\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    return len(request) >= len(head) + 4 + int(length.split(b"\r\n")[0] or 0)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except OSError:
        return b""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        connection.close()
