import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sandbox.ports import LOOPBACK, free_port
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(400)]

_SAMPLES = Path(__file__).parents[2] / "samples"
_COMMAND = str(Path(sys.executable).with_name("routee-sandbox"))
_READY_SECONDS = 200.0
_PROGRAMS = ("routee-ingest serve", "routee-streams worker", "routee-sinks clickhouse", "routee-sinks files")


def _taken() -> socket.socket:
    """Return a socket that listens at a port; those after it, which a second program of a kind takes, are free."""
    return socket.create_server((LOOPBACK, free_port(together=9)))


class Up:
    """`routee-sandbox up` as a person runs it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        first = free_port(together=9)
        names = (
            "SANDBOX_KAFKA_PORT",
            "SANDBOX_CLICKHOUSE_PORT",
            "INGEST_PORT",
            "INGEST_ADMIN_PORT",
            "STREAMS_ADMIN_PORT",
            "STREAMS_WEB_PORT",
            "SINKS_ADMIN_PORT",
        )
        self.settings = {name: str(first + number) for number, name in enumerate(names)}
        self.settings |= {"SANDBOX_DIR": str(folder / "state"), "LOG_FORMAT": "text"} | settings
        self._output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return self._output.read_text()

    def start(self) -> None:
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                (_COMMAND, "up"), env=os.environ | self.settings, stdout=output, stderr=subprocess.STDOUT
            )

    def start_and_wait(self) -> None:
        self.start()
        # The steps are told long before all is ready.
        eventually(lambda: "starting Kafka at " in self.output or self.ended, 20)
        eventually(lambda: "\nready " in f"\n{self.output}" or self.ended, _READY_SECONDS)
        assert not self.ended, self.output

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def children(self) -> dict[int, str]:
        """Return the command lines of the processes that `up` has started, by their ids."""
        assert self.process is not None
        return {pid: line for pid, parent, line in _processes() if parent == self.process.pid}

    def child(self, command: str) -> int:
        (pid,) = [pid for pid, line in self.children().items() if command in line]
        return pid

    def has_another(self, command: str, pid: int) -> bool:
        return any(command in line and one != pid for one, line in self.children().items())

    def leftovers(self) -> list[str]:
        """Return the command lines of everything that works in this sandbox's folder."""
        return [line for _, _, line in _processes() if self.settings["SANDBOX_DIR"] in line]

    def address(self, name: str) -> str:
        found = re.search(rf"^ready .*?(?<=\s){name}=(\S+)", self.output, re.MULTILINE)
        assert found
        return found.group(1)

    def post(self, sample: str) -> None:
        """Send a callback and see it accepted."""
        assert _post(self.address("callbacks"), (_SAMPLES / sample).read_bytes()) == b""

    def statuses(self) -> list[str]:
        """Return the statuses of all SMS, in the order of their keys."""
        answer = _post(self.address("clickhouse"), b"SELECT status FROM routee.sms ORDER BY sms_key")
        return answer.decode().split()


def _processes() -> Iterator[tuple[int, int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):  # it ended while we looked
            continue
        if command:
            yield int(folder.name), parent, command


def _post(url: str, body: bytes) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:  # noqa: S310 - our own
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    if up.process is not None and not up.ended:
        up.process.kill()
        up.process.wait()


def test_callbacks_become_rows_through_kills_and_a_restart(up: Up) -> None:
    """Ready is one line; each program is visible, comes back within 2 s; SIGTERM ends all; the next `up` has it all."""
    up.start_and_wait()
    look_at_the_steps(up)
    assert len(re.findall("^ready ", up.output, re.MULTILINE)) == 1
    assert all(any(program in line for line in up.children().values()) for program in _PROGRAMS)
    assert {os.getsid(pid) for pid in up.children()} == {os.getsid(0)}
    up.post("case3-single.documented.json")
    eventually(lambda: up.statuses() == ["Delivered"], 60)

    for program in (*_PROGRAMS, "sandbox.clickhouse"):
        killed = up.child(program)
        os.kill(killed, signal.SIGKILL)
        eventually(partial(up.has_another, program, killed), 2)
    eventually(lambda: up.output.count("ended with exit code -9 and is started again") == 5)

    began = time.monotonic()
    assert up.end() == 0
    assert time.monotonic() - began < 15
    assert up.leftovers() == []

    up.start_and_wait()
    assert up.statuses() == ["Delivered"]
    up.post("case2-delivered.documented.json")
    eventually(lambda: up.statuses() == ["Delivered", "Delivered"], 60)
    assert up.end(signal.SIGINT) == 0
    assert up.leftovers() == []


def look_at_the_steps(up: Up) -> None:
    """See that people are told the steps, where to look and how to stop it."""
    assert up.process is not None
    assert f"  state in    {up.settings['SANDBOX_DIR']}\n" in up.output
    assert f"  logs in     {up.settings['SANDBOX_DIR']}/logs, a file for each process\n" in up.output
    assert f"  to stop     Ctrl-C, or kill {up.process.pid}\n" in up.output
    steps = re.findall(r"^ +\d+\.\d s  (\S+ [^ ,\n]+|ready$)", up.output, re.MULTILINE)
    assert steps[-10:] == [
        *("starting Kafka", "starting ClickHouse", "making topics", "starting ingest"),
        *("ingest is", "streams is", "sinks-clickhouse is", "sinks-files is", "console is", "ready"),
    ]
    assert f"  post callbacks to {up.address('callbacks')}\n" in up.output


def test_nothing_is_left_running_when_it_is_killed_while_it_starts_or_works(up: Up) -> None:
    up.start()
    eventually(lambda: len(up.children()) >= 2, 60)
    up.end(signal.SIGKILL)
    eventually(lambda: up.leftovers() == [])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_a_signal_during_the_start_stops_every_started_process(up: Up, number: signal.Signals, code: int) -> None:
    up.start()
    eventually(lambda: len(up.children()) >= 2, 60)
    began = time.monotonic()
    assert up.end(number) == code
    assert time.monotonic() - began < 15
    assert up.leftovers() == []
    assert "Traceback" not in up.output


@pytest.mark.parametrize("variable", ["SANDBOX_KAFKA_PORT", "INGEST_PORT", "INGEST_ADMIN_PORT", "SINKS_ADMIN_PORT"])
def test_a_port_in_use_is_one_line_before_anything_is_started(tmp_path: Path, variable: str) -> None:
    with _taken() as other:
        port = other.getsockname()[1]
        up = Up(tmp_path, **{variable: str(port)})
        up.start()
        eventually(lambda: up.ended, 60)
    assert up.end() == 1
    assert up.output == f"port {port} is not free (in use): set {variable} to another one\n"
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["lock"]


def test_files_and_ports_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    with _taken() as one, _taken() as other:
        kafka, streams = (str(taken.getsockname()[1]) for taken in (one, other))
        files = {"INGEST_TLS_CERT": "gone.pem", "INGEST_TLS_KEY": "gone-too.pem"}
        up = Up(tmp_path, SANDBOX_KAFKA_PORT=kafka, STREAMS_WEB_PORT=streams, **files)
        up.start()
        eventually(lambda: up.ended, 60)
    assert up.end() == 1
    assert up.output.splitlines() == [
        "INGEST_TLS_CERT=gone.pem: No such file or directory",
        "INGEST_TLS_KEY=gone-too.pem: No such file or directory",
        f"port {kafka} is not free (in use): set SANDBOX_KAFKA_PORT to another one",
        f"port {streams} is not free (in use): set STREAMS_WEB_PORT to another one",
    ]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    up = Up(tmp_path, SANDBOX_DIR=str(tmp_path / "file" / "below"))
    up.start()
    eventually(lambda: up.ended, 60)
    assert up.end() == 1
    assert up.output == f"SANDBOX_DIR={tmp_path / 'file' / 'below'}: Not a directory\n"


def test_a_second_one_in_the_same_folder_is_refused_in_one_line(tmp_path: Path, up: Up) -> None:
    up.start()
    eventually(lambda: len(up.children()) >= 1, 60)
    second = tmp_path / "second"
    second.mkdir()
    other = Up(second, SANDBOX_DIR=up.settings["SANDBOX_DIR"])
    other.start()
    eventually(lambda: other.ended, 60)
    assert other.end() == 1
    assert re.fullmatch(r"a sandbox is running in \S+: stop it, or set SANDBOX_DIR to another folder\n", other.output)
    up.end()


def test_wrong_settings_are_a_line_each(tmp_path: Path) -> None:
    up = Up(tmp_path, INGEST_PORT="http", SANDBOX_KAFKA_BROKERS="7")
    up.start()
    eventually(lambda: up.ended, 60)
    assert up.end() == 2
    assert [line.split(":")[0] for line in up.output.splitlines()] == ["SANDBOX_KAFKA_BROKERS=7", "INGEST_PORT=http"]


def test_a_program_that_refuses_its_settings_is_quoted(tmp_path: Path) -> None:
    up = Up(tmp_path, STREAMS_FLUSH_MS="often")
    up.start()
    eventually(lambda: up.ended, 60)
    assert up.end() == 1
    assert re.match(r"topics ended with exit code 2: STREAMS_FLUSH_MS=often: ", up.output.splitlines()[-1])
    assert up.leftovers() == []
