"""
Run as a program: more requests than a server can serve, from more clients than it should have, at a steady rate.

`python -m tests.support.flood PORT PATH CONNECTIONS BODY_BYTES RATE SECONDS` prints what they were answered, as JSON.
"""

import argparse
import json
import resource
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from uuid import uuid4

_HEAD_END = b"\r\n\r\n"


@dataclass
class Seen:
    """The clients' results, and the keys of the callbacks that were stored."""

    stored: int = 0
    refused: int = 0
    cut: int = 0
    keys: list[str] = field(default_factory=list)


class Flood:
    """Clients in one thread, of which the one that has been idle for longest posts next."""

    def __init__(self, port: int, path: str, body_bytes: int, rate: float) -> None:
        self._port, self._path, self._body_bytes, self._rate = port, path, body_bytes, rate
        self._idle: deque[_Client] = deque()
        self._selector = selectors.EpollSelector()
        self.seen = Seen()

    def run(self, connections: int, seconds: float) -> Seen:
        """Connect all of them, have callbacks posted for so long, and hang up."""
        for _ in range(connections):
            self._connect()
        began, begun = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < seconds:
            while self._idle and begun < elapsed * self._rate:
                self._begin(self._idle.popleft())
                begun += 1
            self._turn()
        return self.seen

    def request(self) -> tuple[str, bytes]:
        """Return a request, and the key of its callback."""
        key = str(uuid4())
        body = b'{"messageId":"%s","message":"' % key.encode()
        body += b"x" * (self._body_bytes - len(body) - 2) + b'"}'
        return key, f"POST {self._path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def answered(self, client: "_Client", status: bytes) -> None:
        """Count an answer."""
        if status == b"200":
            self.seen.stored += 1
            self.seen.keys.append(client.key)
        else:
            self.seen.refused += 1

    def _connect(self) -> None:
        client = _Client(self)
        client.socket.connect(("127.0.0.1", self._port))
        client.socket.settimeout(0)
        self._selector.register(client.socket, selectors.EVENT_READ, client)
        self._idle.append(client)

    def _begin(self, client: "_Client") -> None:
        client.begin()
        self._selector.modify(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _turn(self) -> None:
        for key, ready in self._selector.select(0.005):
            client: _Client = key.data
            try:
                goes_on = client.read() if ready & selectors.EVENT_READ else client.write()
            except OSError:
                self.seen.cut += not client.is_answered
                goes_on = False
            if not goes_on:
                self._replace(client)
            elif ready & selectors.EVENT_READ and client.is_answered:
                self._idle.append(client)
            elif not client.is_sending and key.events & selectors.EVENT_WRITE:
                self._selector.modify(client.socket, selectors.EVENT_READ, client)

    def _replace(self, client: "_Client") -> None:
        self._selector.unregister(client.socket)
        client.socket.close()
        if client in self._idle:
            self._idle.remove(client)
        self._connect()


class _Client:
    """One connection."""

    def __init__(self, flood: Flood) -> None:
        self.socket = socket.socket()
        self.is_answered = True
        self.key = ""
        self._flood = flood
        self._left = memoryview(b"")
        self._answer = b""

    @property
    def is_sending(self) -> bool:
        """Whether some of the request is still to be sent."""
        return bool(self._left)

    def begin(self) -> None:
        """Have a request to send."""
        self.key, request = self._flood.request()
        self._left, self.is_answered, self._answer = memoryview(request), False, b""

    def write(self) -> bool:
        """Send what the kernel takes; returns whether the connection goes on."""
        self._left = self._left[self.socket.send(self._left) :]
        return True

    def read(self) -> bool:
        """Read the answer; returns whether the connection goes on."""
        data = self.socket.recv(4096)
        if self.is_answered:
            return False
        if not data:
            self._flood.seen.cut += 1
            return False
        self._answer += data
        if _HEAD_END not in self._answer:
            return True
        self._flood.answered(self, self._answer[9:12])
        self.is_answered = True
        return not self._left and b"connection: close" not in self._answer


def main() -> None:
    """Flood, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.flood", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("connections", type=int)
    parser.add_argument("body_bytes", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    seen = Flood(given.port, given.path, given.body_bytes, given.rate).run(given.connections, given.seconds)
    sys.stdout.write(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
