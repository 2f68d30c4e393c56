"""
How fast and how cheap ingest is: durable 200s a second, latency, processor time, memory.

The server has one core to itself; Kafka and the clients share another. Every 200 is counted again in Kafka.
`python -m tests.bench.ingest --help`.
"""

import argparse
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.contract.topics import CALLBACKS_RAW
from tests.integration.ingest.process import Ingest, environment, ingest
from tests.integration.ingest.topics import callbacks_in, create_topics, read_partitions

_SERVER_CORE, _OTHER_CORE = 0, 1
_SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the benchmark
_WARM_UP_S = 1.0
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
class Result:
    """One run: 200s a second, milliseconds at p50 and p99, CPU milliseconds per 1,000, megabytes, other answers."""

    rate: float
    p50: float
    p99: float
    cpu: float
    rss: float
    others: int


class Client:
    """One keep-alive connection with one request under way."""

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._key = b"%s-%04x-" % (str(uuid4())[:8].encode(), number)
        size = len(b'{"messageId":"') + len(self._key) + 12 + len(_REST)
        self._head = (
            f"POST /callbacks/{_SECRET} HTTP/1.1\r\nHost: sms.example.com\r\nUser-Agent: Routee\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        ).encode() + b'{"messageId":"'
        self._count = 0
        self.sent_at = 0.0

    def send(self) -> None:
        """Post a callback with a key of its own."""
        self._count += 1
        self.sent_at = time.perf_counter()
        self.socket.sendall(b"%s%s%012d%s" % (self._head, self._key, self._count, _REST))


def load(port: int, connections: int, seconds: float, pid: int) -> Result:
    """Keep every connection busy, and measure after a warm-up."""
    clients = [Client(port, number) for number in range(connections)]
    selector = selectors.EpollSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send()
    _answers(selector, _WARM_UP_S)
    cpu, began = _cpu_seconds(pid), time.perf_counter()
    latencies, others = _answers(selector, seconds)
    cpu, took = _cpu_seconds(pid) - cpu, time.perf_counter() - began
    for client in clients:
        client.socket.close()
    latencies.sort()
    count = len(latencies)
    return Result(
        rate=count / took,
        p50=latencies[count // 2] * 1000,
        p99=latencies[count * 99 // 100] * 1000,
        cpu=cpu * 1e6 / (count + others),
        rss=_rss(pid),
        others=others,
    )


def _answers(selector: selectors.EpollSelector, seconds: float) -> tuple[list[float], int]:
    """Take answers and post the next callbacks for a while; returns the latencies of the 200s, and how many others."""
    latencies: list[float] = []
    others = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(0.1):
            client: Client = key.data
            answer = client.socket.recv(4096)
            if answer[_STATUS] == b"200":
                latencies.append(time.perf_counter() - client.sent_at)
            else:
                others += 1
            client.send()
    return latencies, others


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and of the children it has now."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    ticks = [Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split() for one in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in ticks) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@contextmanager
def serving(partitions: int, workers: int) -> Iterator[tuple[Ingest, KafkaCluster, str]]:
    """Run Kafka on one core and a server on the other."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_OTHER_CORE} & cores or cores)
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        cluster = KafkaCluster(folder / "kafka", free_port())
        cluster.start()
        try:
            prefix = "bench."
            create_topics(cluster.bootstrap_servers, prefix, partitions)
            settings = environment(
                cluster.bootstrap_servers,
                prefix,
                kafka_partitions=partitions,
                ingest_secrets=_SECRET,
                ingest_workers=workers,
            )
            with ingest(folder, settings) as server:
                os.sched_setaffinity(server.process.pid, {_SERVER_CORE} & cores or cores)
                server.wait_ready()
                yield server, cluster, prefix
        finally:
            cluster.stop()
            os.sched_setaffinity(0, cores)


def _in_process(port: int, connections: int, seconds: float, pid: int) -> Result:
    """Run the load in a process of its own, so that its memory and its garbage are not the driver's."""
    arguments = ["--load", str(port), str(connections), str(seconds), str(pid)]
    ran = subprocess.run([sys.executable, "-m", __spec__.name, *arguments], capture_output=True, text=True, check=True)
    return Result(**json.loads(ran.stdout))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print a table; returns 1 when a 200 is missing in Kafka."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest", description=__doc__)
    parser.add_argument("--connections", default="1,64,256,512", help="comma-separated; one row each")
    parser.add_argument("--runs", type=int, default=3, help="runs per row, of which the median is shown")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a run")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--load", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.load:
        port, connections, seconds, pid = given.load
        _say(json.dumps(vars(load(int(port), int(connections), float(seconds), int(pid)))))
        return 0
    return _table(given)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _table(given: argparse.Namespace) -> int:
    _say(f"{given.partitions} partitions, {given.workers} worker(s), median of {given.runs} runs of {given.seconds} s")
    _say(f"{'connections':>11} {'200s/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms/1k':>10} {'RSS MB':>7} {'others':>7}")
    with serving(given.partitions, given.workers) as (server, cluster, prefix):
        for connections in map(int, given.connections.split(",")):
            runs = [_in_process(server.port, connections, given.seconds, server.process.pid) for _ in range(given.runs)]
            rate, p50, p99, cpu, rss = (
                median(getattr(run, name) for run in runs) for name in ("rate", "p50", "p99", "cpu", "rss")
            )
            others = sum(run.others for run in runs)
            _say(f"{connections:11} {rate:8.0f} {p50:8.1f} {p99:8.1f} {cpu:10.1f} {rss:7.1f} {others:7}")
        accepted = int(server.metric("accepted_total"))
        stored = sum(1 for _ in callbacks_in(read_partitions(cluster.bootstrap_servers, CALLBACKS_RAW.name(prefix))))
    _say(f"answered 200: {accepted}, in Kafka: {stored}")
    return 0 if stored >= accepted else 1


if __name__ == "__main__":
    sys.exit(main())
