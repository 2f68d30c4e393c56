"""
Run as a program: strangers who connect and say nothing, and strangers who guess secrets as fast as they are answered.

`python -m tests.support.strangers PORT SILENT GUESSING SECONDS` prints what became of them, as JSON. The silent ones
have ten addresses, the guessing ones another one. One whose connection ends comes again, a silent one after a second.
"""

import argparse
import json
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass

from streams.program.descriptors import raise_limit

_AWAY_SECONDS = 1.0
_FEWEST_GUESSES = 200
_GUESS = b"POST /callbacks/%032x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Seen:
    """How often connections of the silent ones ended, and how many guesses were sent, and answered."""

    ended: int = 0
    guesses: int = 0
    answered: int = 0


class Strangers:
    """All of them, in one thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.EpollSelector()
        self._away: deque[tuple[float, str]] = deque()
        self.seen = Seen()

    def run(self, silent: int, guessing: int, seconds: float) -> Seen:
        """Connect them all, have them go on for so long and for some hundred guesses, and hang up."""
        for number in range(silent):
            self._connect(f"127.0.1.{1 + number % 10}", guesses=False)
        for _ in range(guessing):
            self._connect("127.0.2.1", guesses=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end or (guessing and self.seen.guesses < _FEWEST_GUESSES):
            for key, _ in self._selector.select(0.05):
                self._turn(key)
            while self._away and self._away[0][0] < time.monotonic():
                self._connect(self._away.popleft()[1], guesses=False)
        return self.seen

    def _connect(self, source: str, *, guesses: bool) -> None:
        client = socket.socket()
        client.settimeout(0)
        client.bind((source, 0))
        client.connect_ex(("127.0.0.1", self._port))
        events = selectors.EVENT_WRITE if guesses else selectors.EVENT_READ
        self._selector.register(client, events, source)

    def _turn(self, key: selectors.SelectorKey) -> None:
        client = key.fileobj
        assert isinstance(client, socket.socket)
        if key.events == selectors.EVENT_WRITE and self._guess(client):
            self._selector.modify(client, selectors.EVENT_READ, key.data)
            return
        guesses = key.data.startswith("127.0.2.")
        self.seen.answered += guesses and _answered(client)
        self._selector.unregister(client)
        client.close()
        if guesses:
            self._connect(key.data, guesses=True)
        else:
            self.seen.ended += 1
            self._away.append((time.monotonic() + _AWAY_SECONDS, key.data))

    def _guess(self, client: socket.socket) -> bool:
        self.seen.guesses += 1
        try:
            client.send(_GUESS % self.seen.guesses)
        except OSError:
            return False
        return True


def _answered(client: socket.socket) -> bool:
    try:
        return client.recv(4096).startswith(b"HTTP/1.1 404")
    except OSError:
        return False


def main() -> None:
    """Be the strangers, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.strangers", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("silent", type=int)
    parser.add_argument("guessing", type=int)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    raise_limit()
    seen = Strangers(given.port).run(given.silent, given.guessing, given.seconds)
    sys.stdout.write(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
