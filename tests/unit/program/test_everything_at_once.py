"""
The faults of settings, of the files and folders that they name, and of ports are said in one round.
"""

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.cli import main as ingest
from sandbox.cli import main as sandbox
from sandbox.ports import free_port
from sinks.cli import main as sinks
from streams.cli import main as streams
from streams.program.environment import KNOWN_SETTINGS

Main = Callable[[list[str]], int]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KNOWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOG_FORMAT", "text")
    monkeypatch.setenv("INGEST_HOST", "127.0.0.1")  # another one needs a secret


@pytest.fixture(autouse=True)
def _logging_stays() -> Iterator[None]:
    """Commands tell Kafka's clients to be silent, and take the root logger's handlers."""
    names = (None, "aiokafka", "kafka", "ingest", "streams", "sinks", "sandbox")
    before = [(logger, logger.level, logger.handlers[:]) for logger in map(logging.getLogger, names)]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def taken() -> Iterator[str]:
    """Give a port that is in use."""
    with socket.create_server(("", 0)) as server:
        yield str(server.getsockname()[1])


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of standard error, without the beginning of a log line."""
    return [line.partition(": ")[2] if " error " in line else line for line in capsys.readouterr().err.splitlines()]


KAFKA = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERTFILE": "gone.pem", "KAFKA_SSL_KEYFILE": "gone-too.pem"}
OF_KAFKA = [
    "KAFKA_SSL_CERTFILE=gone.pem: No such file or directory",
    "KAFKA_SSL_KEYFILE=gone-too.pem: No such file or directory",
]
TLS = {"INGEST_TLS_CERT": "gone.pem", "INGEST_TLS_KEY": "file"}
OF_TLS = ["INGEST_TLS_CERT=gone.pem: No such file or directory", "INGEST_TLS_KEY=file: no private key is in it"]
STATE = {"STREAMS_DATA_DIR": "file"}
OF_STATE = ["STREAMS_DATA_DIR=file: Not a directory"]
FILES = {"SINKS_FILES_ROOT": "file"}


def of_files(folder: Path) -> list[str]:
    return [f"SINKS_FILES_ROOT=file: {folder / 'file'} is not a folder"]


@pytest.mark.parametrize(
    ("program", "settings", "files"),
    [
        ((ingest, "check"), KAFKA | TLS, [*OF_TLS, *OF_KAFKA]),
        ((ingest, "serve"), KAFKA | TLS, [*OF_TLS, *OF_KAFKA]),
        ((streams, "check"), KAFKA | STATE, [*OF_KAFKA, *OF_STATE]),
        ((streams, "worker"), KAFKA | STATE, [*OF_KAFKA, *OF_STATE]),
        ((streams, "topics"), KAFKA | STATE, OF_KAFKA),
        ((sinks, "check"), KAFKA, OF_KAFKA),
        ((sinks, "files"), KAFKA, OF_KAFKA),
        ((sinks, "clickhouse"), KAFKA | FILES, OF_KAFKA),
        ((sandbox, "up"), TLS, OF_TLS),
    ],
)
def test_files_are_looked_at_although_a_value_is_wrong(
    program: tuple[Main, str],
    settings: dict[str, str],
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (settings | {"KAFKA_PARTITIONS": "many", "STREAM_FLUSH_MS": "5"}).items():
        monkeypatch.setenv(name, value)
    main, command = program
    assert main([command]) == 2
    assert told(capsys) == [
        "KAFKA_PARTITIONS=many: a whole number is needed",
        *files,
        "STREAM_FLUSH_MS is no setting: did you mean STREAMS_FLUSH_MS?",
    ]


def test_a_folder_is_looked_at_although_a_value_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SINKS_FILES_ROOT", "file")
    monkeypatch.setenv("KAFKA_PARTITIONS", "many")
    assert sinks(["check"]) == 2
    assert told(capsys) == ["KAFKA_PARTITIONS=many: a whole number is needed", *of_files(tmp_path)]


def test_files_of_a_protocol_that_is_none_are_looked_at_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (KAFKA | {"KAFKA_SECURITY_PROTOCOL": "TLS"}).items():
        monkeypatch.setenv(name, value)
    assert ingest(["check"]) == 2
    assert told(capsys)[1:] == OF_KAFKA


def test_the_file_beside_a_setting_that_is_wrong_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGEST_TLS_CERT", "gone.pem")
    assert ingest(["check"]) == 2
    first, second = told(capsys)
    assert first.startswith("INGEST_TLS_KEY: set both")
    assert second == "INGEST_TLS_CERT=gone.pem: No such file or directory"


def test_ingest_says_at_its_start_what_files_and_port_it_cannot_use(
    taken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # An address: to look a name up is not for a unit test.
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("", int(taken)))]
    )
    given = {"INGEST_PORT": taken, "INGEST_ADMIN_PORT": taken, "INGEST_HOST": "", "INGEST_SECRETS": "a" * 16}
    for name, value in (KAFKA | TLS | given).items():
        monkeypatch.setenv(name, value)
    assert ingest(["serve"]) == 1
    assert told(capsys) == [
        *OF_TLS,
        *OF_KAFKA,
        f"cannot listen on INGEST_HOST=0.0.0.0 INGEST_PORT={taken}: Address already in use",
        f"INGEST_ADMIN_HOST=127.0.0.1 INGEST_ADMIN_PORT={taken}: Address already in use",
    ]


def test_a_worker_says_at_its_start_what_files_folder_and_port_it_cannot_use(
    taken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (KAFKA | STATE | {"STREAMS_WEB_PORT": taken, "STREAMS_ADMIN_PORT": taken}).items():
        monkeypatch.setenv(name, value)
    assert streams(["worker"]) == 1
    assert told(capsys) == [
        *OF_KAFKA,
        *OF_STATE,
        f"STREAMS_ADMIN_HOST=127.0.0.1 STREAMS_ADMIN_PORT={taken}: Address already in use",
        f"STREAMS_WEB_BIND=127.0.0.1 STREAMS_WEB_PORT={taken}: Address already in use",
    ]


OPEN = {"STREAMS_WEB_BIND": "0.0.0.0"}  # noqa: S104 - refused here
OF_OPEN = [
    "STREAMS_READ_TOKENS: it is needed with STREAMS_WEB_BIND=0.0.0.0: strangers would read numbers and texts",
    "STREAMS_WORKER_TOKEN: it is needed with STREAMS_WEB_BIND=0.0.0.0: workers ask each other with it",
]


@pytest.mark.parametrize("wrong", [{}, {"KAFKA_PARTITIONS": "many"}])
@pytest.mark.parametrize("command", ["check", "worker"])
def test_streams_does_not_open_its_answers_to_strangers_and_says_so_with_all_else(
    command: str, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port(together=2)  # those of the defaults may be in use here
    free = {"STREAMS_WEB_PORT": str(port), "STREAMS_ADMIN_PORT": str(port + 1)}
    for name, value in (KAFKA | STATE | OPEN | free | wrong).items():
        monkeypatch.setenv(name, value)
    assert streams([command]) == (2 if wrong else 1)
    first = ["KAFKA_PARTITIONS=many: a whole number is needed"] if wrong else []
    assert told(capsys) == [*first, *OF_OPEN, *OF_KAFKA, *OF_STATE]


def test_a_sink_says_at_its_start_what_files_folder_and_port_it_cannot_use(
    tmp_path: Path, taken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (KAFKA | FILES | {"SINKS_ADMIN_PORT": taken}).items():
        monkeypatch.setenv(name, value)
    assert sinks(["files"]) == 1
    assert told(capsys) == [
        *OF_KAFKA,
        *of_files(tmp_path),
        f"SINKS_ADMIN_HOST=127.0.0.1 SINKS_ADMIN_PORT={taken}: Address already in use",
    ]
