"""The command line, without Kafka."""

import re
import socket
import subprocess
from pathlib import Path

import pytest

from sandbox.ports import free_port
from tests.integration.ingest.process import COMMAND, environment, ingest
from tests.support.wait import eventually


def run(folder: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    env = environment("127.0.0.1:1", "t.", **settings)
    return subprocess.run(
        [*COMMAND, *arguments], env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["check", "--help"]])
def test_help_is_given(tmp_path: Path, arguments: list[str]) -> None:
    ended = run(tmp_path, *arguments)
    assert ended.returncode == 0
    assert "usage: routee-ingest" in ended.stdout


@pytest.mark.parametrize("arguments", [[], ["serf"]])
def test_wrong_usage_is_2(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, *arguments).returncode == 2


def test_wrong_settings_are_a_line_each(tmp_path: Path) -> None:
    ended = run(tmp_path, "serve", ingest_port="http", kafka_partitions="many", ingest_secrets="a b")
    assert ended.returncode == 2
    assert [line.split("=")[0].split(":")[0] for line in ended.stderr.splitlines()] == [
        "KAFKA_PARTITIONS",
        "INGEST_PORT",
        "INGEST_SECRETS",
    ]
    assert "a b" not in ended.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_one_line(tmp_path: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, "serve", ingest_port=port, ingest_workers=workers, ingest_secrets="abc")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"cannot listen on INGEST_HOST=127.0.0.1 INGEST_PORT={port}: Address already in use" in line


def test_check_says_that_kafka_does_not_answer_and_why(tmp_path: Path) -> None:
    ended = run(tmp_path, "check")
    assert ended.returncode == 1
    why = r"Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS=127\.0\.0\.1:1 \(Connect.+\)\n"
    assert re.fullmatch(why, ended.stderr)


def test_a_redrive_says_that_kafka_does_not_answer_as_all_programs_do(tmp_path: Path) -> None:
    ended = run(tmp_path, "redrive", "--since", "2026-11-22T00:00:00Z", "--plan")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1 (" in line


def test_without_kafka_it_listens_says_so_and_stops(tmp_path: Path) -> None:
    servers = f"127.0.0.1:{free_port()}"
    no_answer = f"Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS={servers} (Connection refused)"
    with ingest(tmp_path, environment(servers, "t.")) as server:
        # The log names the servers. The page does not, since every client that reaches the port can read it.
        eventually(lambda: server.get("/readyz") == (503, "Kafka does not answer\n"))
        assert server.get("/livez") == (200, "ok\n")
        assert server.stop() == 0
        assert no_answer in server.log
        assert server.log.count("callbacks are answered 503 until Kafka can take them") == 1
        assert "INGEST_SECRETS is empty" in server.log
        assert "Traceback" not in server.log


def test_the_secret_is_in_no_line(tmp_path: Path) -> None:
    with ingest(
        tmp_path, environment("127.0.0.1:1", "t.", ingest_secrets="very-secret-one", log_level="debug")
    ) as server:
        assert server.get("/callbacks/very-secret-one", server.port)[0] == 405
        assert server.get("/callbacks/very-secret-on", server.port)[0] == 404
        assert server.stop() == 0
        assert "very-secret" not in server.log
        assert "INGEST_SECRETS is empty" not in server.log
