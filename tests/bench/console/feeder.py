"""
Posts callbacks to ingest at a steady pace: `python -m tests.bench.console.feeder PORT RATE SECONDS`.

Each SMS has three statuses, a third of a second apart. Written at the end, as JSON: how many were posted, and how many
of them were answered 200.
"""

import json
import select
import socket
import sys
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from streams.contract.codec import format_time
from tests.bench.callbacks import CAMPAIGNS, STEPS, body

_CONNECTIONS: Final = 160
_PAUSE: Final = 0.002
_PLACE: Final = "@" * 36
_HEAD: Final = (
    b"POST /callbacks HTTP/1.1\r\nHost: sms.example.com\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
_STARTED: Final = int(time.time())


class Bodies:
    """Callbacks one after the other, dated by the second in which they are asked for."""

    def __init__(self, rate: int) -> None:
        self._wave = max(1, rate // 3)
        self._second = 0
        self._made: dict[tuple[int, int], bytes] = {}

    def at(self, number: int) -> bytes:
        """Return a callback by its number: waves of new messages, each wave once for each status."""
        if (second := int(time.time())) != self._second:
            self._second = second
            self._made.clear()
        wave, place = divmod(number, self._wave * len(STEPS))
        step, sms = divmod(place, self._wave)
        key = sms % CAMPAIGNS, step
        if key not in self._made:
            at = format_time(datetime.fromtimestamp(second - 3 + step, UTC))
            self._made[key] = body(_PLACE, sms % CAMPAIGNS, STEPS[step][0], at)
        message = str(UUID(int=(_STARTED << 64) | (wave * self._wave + sms)))
        return self._made[key].replace(_PLACE.encode(), message.encode())


def request(callback: bytes) -> bytes:
    """Return the request with a callback."""
    return _HEAD % len(callback) + callback


def main(port: int, rate: int, seconds: float) -> None:
    """Post, and write the counts."""
    bodies, taken, sent = Bodies(rate), 0, 0
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(_CONNECTIONS)]
    by_number = {one.fileno(): one for one in connections}
    ready = select.epoll()
    for number, one in by_number.items():
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(number, select.EPOLLIN)
    free, began = deque(by_number), time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        while free and sent < now * rate:
            by_number[free.popleft()].sendall(request(bodies.at(sent)))
            sent += 1
        for number, _ in ready.poll(_PAUSE):
            answer = by_number[number].recv(4096)
            if not answer:
                raise ConnectionError("ingest has closed a connection")
            taken += answer.startswith(b"HTTP/1.1 200")
            free.append(number)
    sys.stdout.write(json.dumps({"sent": sent, "taken": taken}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
