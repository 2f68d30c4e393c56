"""
The whole pipeline on this machine: what `routee-sandbox up` runs, and what the demo and tests use.
"""

import fcntl
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Final, Self

from sandbox.addresses import FILES_SINK, addresses_of
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.errors import FolderInUseError, PortTakenError, StartError
from sandbox.jars import JARS_MB, default_cache, jars_are_there, jars_folder
from sandbox.kafka import KafkaCluster
from sandbox.logs import keep_within
from sandbox.ports import require_free
from sandbox.process import Process, stop_all
from sandbox.programs import WRITERS, Launcher, Program, programs, wait_ready
from sandbox.settings import SandboxSettings, file_problems
from sandbox.supervisor import Supervisor

# 14 s at the very most, within the 15 that are promised.
_INGEST_SECONDS: Final = 3.0
_STREAMS_SECONDS: Final = 4.0
_SINKS_SECONDS: Final = 3.0
_STORES_SECONDS: Final = 4.0
Tell = Callable[[str], None]
"""Is told each step, in a few words, before it begins or when it is done."""


def _untold(_: str) -> None:
    """Keep a start to itself."""


# A log that is longer than this at a start is put aside.
_LOG_BYTES: Final = 16 << 20


class Sandbox:
    """
    Kafka, ClickHouse, ingest, streams and both sinks as child processes, under watch.

    Use it as a context manager: inside the block callbacks can be sent to `addresses.callback_url`; after it nothing
    runs, and the state is in `SANDBOX_DIR` for the next time. A process that dies is back within 2 s.
    `tell` is told each step of the start, the first one when folder and ports are known to be free.
    `beside` are more programs, started last and stopped first: the console. Processes are named `kafka-1` …,
    `clickhouse`, `ingest`, `streams`, `sinks-clickhouse`, `sinks-files`, and `backfill`, where an application at Routee
    is named.
    """

    def __init__(self, settings: SandboxSettings, tell: Tell = _untold, beside: Iterable[Program] = ()) -> None:
        self.settings = settings
        self._tell = tell
        self.addresses = addresses_of(settings)
        self._folder = settings.sandbox_dir.absolute()
        self.logs = self._folder / "logs"
        self._kafka = KafkaCluster(
            self._folder / "kafka", settings.sandbox_kafka_port, settings.sandbox_kafka_brokers, logs=self.logs
        )
        self._clickhouse = ClickHouseServer(
            self._folder / "clickhouse",
            settings.sandbox_clickhouse_port,
            settings.clickhouse_user,
            settings.clickhouse_password.get_secret_value(),
            self.logs,
        )
        self._launcher = Launcher(settings, self.addresses, self.logs)
        self._programs = {
            program.name: self._launcher.process(program.name, program.command, program.environment)
            for program in programs(self.addresses)
        }
        self._beside = {
            program.name: (program, self._launcher.process(program.name, program.command, program.environment))
            for program in beside
        }
        self._supervisor: Supervisor | None = None
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _extra_processes(self) -> list[Process]:
        return [process for _, process in self._beside.values()]

    @property
    def _processes(self) -> dict[str, Process]:
        everything = [
            *self._kafka.processes.values(),
            self._clickhouse.process,
            *self._programs.values(),
            *self._extra_processes,
        ]
        return {process.name: process for process in everything}

    def pids(self) -> dict[str, int]:
        """Return the process ids that run at this moment, by name."""
        return {name: process.pid for name, process in self._processes.items() if process.is_running}

    def pid(self, name: str) -> int:
        """Return the id of the last process of that name, which may have ended; KeyError for an unknown name."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """Kill a process by its id (SIGKILL); the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Stop a process for the length of the block; after it, the supervisor starts it again."""
        if self._supervisor is None:
            raise LookupError("the sandbox does not run")
        with self._supervisor.left_alone(name):
            self._processes[name].stop(_STORES_SECONDS)
            yield

    def run(self, name: str, command: tuple[str, ...], environment: Mapping[str, str], seconds: float) -> None:
        """Run a command of the programs to its end; StartError with what it said when it fails or takes longer."""
        process = self._launcher.process(name, command, environment)
        process.start()
        process.require_success(seconds)

    def start(self) -> None:
        """
        Return when callbacks can be sent.

        Raises, with nothing left running: FolderInUseError and PortTakenError before anything was started, JarsError,
        StartError with the end of the log of the program that failed.
        """
        try:
            self._occupy_folder()
            self._require_files_and_ports()
            self._start_stores()
            self._tell("making topics and tables, where they are missing")
            self._launcher.prepare()
            self._start_programs()
        except BaseException:  # an interrupt too leaves nothing running
            self.stop()
            raise
        self._supervisor = Supervisor(self._processes.values())
        self._supervisor.start()

    def stop(self) -> None:
        """Stop everything within 15 s, in the order of the data, so that each program can finish what it has."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        stop_all(self._extra_processes, _SINKS_SECONDS)
        others = dict(self._programs)
        streams = others.pop("streams")
        writers = [others.pop(name) for name in WRITERS if name in others]
        stop_all(writers, _INGEST_SECONDS)
        stop_all([streams], _STREAMS_SECONDS)
        stop_all(others.values(), _SINKS_SECONDS)
        stop_all([self._clickhouse.process, *self._kafka.processes.values()], _STORES_SECONDS)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _occupy_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / "lock").open("ab")
        except FileExistsError as error:
            raise StartError(f"SANDBOX_DIR={self._folder}: not a folder") from error
        except OSError as error:
            raise StartError(f"SANDBOX_DIR={self._folder}: {error.strerror}") from error
        try:
            # The kernel releases the lock at our end, even after a kill.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise FolderInUseError(
                f"a sandbox is running in {self._folder}: stop it, or set SANDBOX_DIR to another folder"
            ) from error
        self._lock = lock

    def _require_files_and_ports(self) -> None:
        settings = self.settings
        ports = {
            **self._kafka.ports,
            "SANDBOX_CLICKHOUSE_PORT": settings.sandbox_clickhouse_port,
            "INGEST_PORT": settings.ingest_port,
            "INGEST_ADMIN_PORT": settings.ingest_admin_port,
            "STREAMS_ADMIN_PORT": settings.streams_admin_port,
            "STREAMS_WEB_PORT": settings.streams_web_port,
            "SINKS_ADMIN_PORT": settings.sinks_admin_port,
            f"SINKS_ADMIN_PORT (+{FILES_SINK})": settings.sinks_admin_port + FILES_SINK,
            **({"BACKFILL_ADMIN_PORT": settings.backfill_admin_port} if settings.routee_application_id else {}),
        }
        if self._beside:
            ports |= {"CONSOLE_PORT": settings.console_port, "CONSOLE_ADMIN_PORT": settings.console_admin_port}
        files = list(file_problems(vars(settings)))
        try:
            require_free(ports)
        except PortTakenError as error:
            raise PortTakenError("\n".join([*files, str(error)])) from error
        if files:
            raise StartError("\n".join(files))

    def _start_stores(self) -> None:
        for file in self.logs.glob("*.log"):
            keep_within(file, _LOG_BYTES)
        if not jars_are_there():
            self._tell(f"fetching Kafka's jars, {JARS_MB} MB, this once, into {default_cache()}")
            jars_folder()
        self._tell(f"starting Kafka at {self.addresses.kafka}")
        self._kafka.launch()
        self._tell(f"starting ClickHouse at {self.addresses.clickhouse}")
        self._clickhouse.launch()
        self._clickhouse.wait_ready()
        self._kafka.wait_ready()

    def _start_programs(self) -> None:
        self._tell(f"starting {', '.join(self._programs)}")
        for process in self._programs.values():
            process.start()
        for program in programs(self.addresses):
            wait_ready(program, self._programs[program.name])
            self._tell(f"{program.name} is ready")
        for beside, process in self._beside.values():
            process.start()
            wait_ready(beside, process)
            self._tell(f"{beside.name} is ready")
