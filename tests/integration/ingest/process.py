"""
The command `routee-ingest` as a process of its own, and clients that count their answers.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen
from uuid import uuid4

from tests.integration.ingest.topics import PARTITIONS, body_of
from tests.support.endings import tell_ending
from tests.support.forks import ForkedCommand, preload
from tests.support.problems import lines_of
from tests.support.stalls import Stalls
from tests.support.wait import eventually

COMMAND = [sys.executable, "-m", "ingest"]

preload("ingest.cli", "ingest.server", "ingest.workers")


def environment(servers: str, prefix: str, **settings: object) -> dict[str, str]:
    """Return the environment of a process: the settings in upper case, over a port of the kernel's choice."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": PARTITIONS,
        "INGEST_HOST": "127.0.0.1",
        "INGEST_PORT": 0,
        "INGEST_ADMIN_PORT": 0,
        "LOG_FORMAT": "json",
        **{name.upper(): value for name, value in settings.items()},
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "INGEST_", "LOG_"))}
    return kept | {name: str(value) for name, value in given.items()}


class Ingest:
    """
    A running `routee-ingest serve`, all workers of which listen.

    It is forked, unless its memory is measured: then it is a process that has imported nothing else.
    """

    def __init__(self, folder: Path, settings: dict[str, str], *, is_measured: bool = False) -> None:
        self._log = folder / "ingest.log"
        self._log.unlink(missing_ok=True)
        self.process: ForkedCommand | subprocess.Popen[bytes]
        if is_measured:
            with self._log.open("wb") as log:
                self.process = subprocess.Popen([*COMMAND, "serve"], env=settings, stderr=log, cwd=folder)
        else:
            self._log.touch()
            self.process = ForkedCommand("ingest", ["serve"], settings, self._log, folder)
        workers = int(settings.get("INGEST_WORKERS", "1"))
        # One worker may listen while the others are not running yet.
        eventually(lambda: self._ports("pages at")[workers - 1 :])
        self.port = self._ports("listening on")[0]
        self.admin_port = self._ports("pages at")[0]

    @property
    def log(self) -> str:
        """Its log so far."""
        return self._log.read_text()

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        """Return the status and the text of a page, or of another port; of a problem its reasons."""
        try:
            with urlopen(f"http://127.0.0.1:{port or self.admin_port}{path}", timeout=30) as page:
                return page.status, page.read().decode()
        except HTTPError as refused:
            return refused.code, lines_of(refused)

    def readyz(self, patience_seconds: float) -> tuple[int, str]:
        """Return status and text of `/readyz`; 0 when no answer came in time: a worker that is frozen gives none."""
        try:
            with urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=patience_seconds) as page:
                return page.status, page.read().decode()
        except HTTPError as refused:
            return refused.code, lines_of(refused)
        except (URLError, TimeoutError, ConnectionError):
            return 0, ""

    def is_ready(self) -> bool:
        """Return whether it can store callbacks."""
        return self.get("/readyz")[0] == 200

    def wait_ready(self) -> None:
        """Return when it can store callbacks."""
        eventually(self.is_ready)

    def metric(self, name: str) -> float:
        """Return a number of its metrics."""
        found = re.search(rf"^routee_ingest_{re.escape(name)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        assert found, name
        return float(found[1])

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code; it must come within 10 s."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def tell_ending(self) -> None:
        """Print how the process ended, if it has and was not killed."""
        tell_ending("routee-ingest", self.process.poll(), self._log)

    def _ports(self, of: str) -> list[int]:
        """Return the port that each worker has told so far."""
        assert self.process.poll() is None, self.log
        return [int(port) for port in re.findall(rf"{of} https?://[^:]+:(\d+)", self.log)]


def children(pid: int) -> list[int]:
    """Return the process ids of the workers."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def ingest(folder: Path, settings: dict[str, str], *, is_measured: bool = False) -> Iterator[Ingest]:
    """Run the server within the block; it ends with the block, also after a failure."""
    running = Ingest(folder, settings, is_measured=is_measured)
    try:
        yield running
    finally:
        running.tell_ending()
        if running.process.poll() is None:
            running.process.terminate()
            try:
                running.process.wait(12)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()


@dataclass
class Load:
    """
    Clients that post one callback after the other, and remember the answers.

    A pause before each leaves the machine to the server under test. The measured waits are without the time in which
    they stood still themselves.
    """

    port: int
    path: str = "/callbacks"
    pause_seconds: float = 0.0
    stored: list[str] = field(default_factory=list)
    refused: int = 0
    cut: int = 0
    slowest_seconds: float = 0.0
    stored_seconds: list[float] = field(default_factory=list)
    stalls: Stalls = field(default_factory=Stalls)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ended: bool = False

    def start(self, clients: int) -> None:
        """Begin to post."""
        self.stalls.begin()
        self._tasks = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def stop(self) -> None:
        """End, each client after its answer."""
        self._ended = True
        await asyncio.wait_for(asyncio.gather(*self._tasks), 60)
        self.stalls.end()

    def p99(self) -> float:
        """Return the 99th percentile of the seconds until a 200."""
        return sorted(self.stored_seconds)[len(self.stored_seconds) * 99 // 100]

    def now(self) -> float:
        """Return a time that stands still when the clients do."""
        return asyncio.get_running_loop().time() - self.stalls.seconds

    async def _client(self) -> None:
        while not self._ended:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionError:
                await asyncio.sleep(0.05)
                continue
            try:
                while not self._ended:
                    await asyncio.sleep(self.pause_seconds)
                    if not await self._post(reader, writer):
                        break
            except (ConnectionError, asyncio.IncompleteReadError):
                self.cut += 1
            writer.close()

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Post one callback; returns whether the connection goes on."""
        key = str(uuid4())
        body = body_of(key)
        head = f"POST {self.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        began = self.now()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        took = self.now() - began
        self.slowest_seconds = max(self.slowest_seconds, took)
        if answer.startswith(b"HTTP/1.1 200"):
            self.stored.append(key)
            self.stored_seconds.append(took)
        else:
            self.refused += 1
            await asyncio.sleep(0.05)
        return b"connection: close" not in answer
