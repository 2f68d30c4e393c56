"""
Clients that keep a server of callbacks busy, and measure it: rate, latency, processor time, memory.

Run as a program, so that the clients have memory and garbage of their own: `python -m tests.bench.ingest_load`.
"""

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the benchmark
_WARM_UP_SECONDS = 1.0
_STATUS = slice(9, 12)

_REST = (
    b'","smsId":"5b1c9f0a-0000-4000-8000-0000000000a1","campaignTrackingId":"c0ffee00-0000-4000-8000-000000000001",'
    b'"part":1,"parts":1,"label":"sale","to":"+306900000001","from":"Shop","country":"GR","operator":"Cosmote (OTE)",'
    b'"groups":["customers","athens","gold"],"campaignName":"Autumn sale, good customers","status":{"name":"Delivered",'
    b'"reason":{"detailedStatus":"Delivered","description":"The SMS was sent and it was delivered to its recipient."},'
    b'"updatedDate":"2026-11-22T10:28:49Z"},"message":"Dear customer, the autumn sale starts tomorrow at nine in all '
    b'our shops. Show this message at the till for 15 per cent off. Text STOP to hear no more.",'
    b'"applicationName":"default","latency":4,"price":0.03600000,"direction":"Outbound","originatingService":"Sms"}'
)


@dataclass(frozen=True)
class Figures:
    """One run: 200s a second, milliseconds at p50 and p99, CPU milliseconds per 1,000, megabytes, other answers."""

    rate: float
    p50: float
    p99: float
    cpu: float
    rss: float
    others: int

    def row(self, name: object) -> str:
        """Return the figures as a line of a table."""
        return (
            f"{name:>28} {self.rate:8.0f} {self.p50:8.1f} {self.p99:8.1f} {self.cpu:10.1f} {self.rss:7.1f} "
            f"{self.others:7}"
        )


HEAD = f"{'':>28} {'200s/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms/1k':>10} {'RSS MB':>7} {'others':>7}"


def middle(runs: Sequence[Figures]) -> Figures:
    """Return the median of every figure, and all other answers together."""
    rate, p50, p99, cpu, rss = (
        median(getattr(run, name) for run in runs) for name in ("rate", "p50", "p99", "cpu", "rss")
    )
    return Figures(rate, p50, p99, cpu, rss, sum(run.others for run in runs))


def load(port: int, connections: int, seconds: float, pid: int) -> Figures:
    """Keep connections to a server busy from a process of its own, for so long after a warm-up."""
    arguments = [str(port), str(connections), str(seconds), str(pid)]
    ran = subprocess.run([sys.executable, "-m", __name__, *arguments], capture_output=True, text=True, check=True)
    return Figures(**json.loads(ran.stdout))


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and of the children it has now."""
    pids = [pid, *children(pid)]
    ticks = [Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split() for one in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in ticks) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def body(key: bytes) -> bytes:
    """Return the callback of a message."""
    return b'{"messageId":"' + key + _REST


def head(size: int) -> bytes:
    """Return the head of a request whose body has so many bytes."""
    return (
        f"POST /callbacks/{SECRET} HTTP/1.1\r\nHost: sms.example.com\r\nUser-Agent: Routee\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


class _Client:
    """One keep-alive connection with one request under way."""

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._key = b"%s-%04x-" % (str(uuid4())[:8].encode(), number)
        self._head = head(len(body(b"%s%012d" % (self._key, 0)))) + b'{"messageId":"'
        self._count = 0
        self.sent_at = 0.0

    def send(self) -> None:
        """Post a callback with a key of its own."""
        self._count += 1
        self.sent_at = time.perf_counter()
        self.socket.sendall(b"%s%s%012d%s" % (self._head, self._key, self._count, _REST))


def _measure(port: int, connections: int, seconds: float, pid: int) -> Figures:
    clients = {client.socket.fileno(): client for client in (_Client(port, n) for n in range(connections))}
    ready = select.epoll()
    for number, client in clients.items():
        ready.register(number, select.EPOLLIN)
        client.send()
    _answers(ready, clients, _WARM_UP_SECONDS)
    cpu, began = cpu_seconds(pid), time.perf_counter()
    latencies, others = _answers(ready, clients, seconds)
    cpu, took = cpu_seconds(pid) - cpu, time.perf_counter() - began
    resident = resident_mb(pid)
    for client in clients.values():
        client.socket.close()
    latencies.sort()
    count = len(latencies)
    return Figures(
        rate=count / took,
        p50=latencies[count // 2] * 1000,
        p99=latencies[count * 99 // 100] * 1000,
        cpu=cpu * 1e6 / (count + others),
        rss=resident,
        others=others,
    )


def _answers(ready: select.epoll, clients: dict[int, _Client], seconds: float) -> tuple[list[float], int]:
    """Take answers and post the next callbacks for a while; returns the latencies of the 200s, and how many others."""
    latencies: list[float] = []
    others = 0
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        for number, _ in ready.poll(0.1):
            client = clients[number]
            answer = client.socket.recv(4096)
            now = time.perf_counter()
            if answer[_STATUS] == b"200":
                latencies.append(now - client.sent_at)
            else:
                others += 1
            client.send()
        now = time.perf_counter()
    return latencies, others


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest_load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("pid", type=int)
    given = parser.parse_args()
    figures = _measure(given.port, given.connections, given.seconds, given.pid)
    sys.stdout.write(json.dumps(vars(figures)))


if __name__ == "__main__":
    main()
