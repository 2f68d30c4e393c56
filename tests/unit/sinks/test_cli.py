"""
The command line: help for every command, and one line for each problem.
"""

import json
from pathlib import Path

import pytest

from sinks.check import folder_problems
from sinks.cli import main


@pytest.mark.parametrize(
    "arguments", [["--help"], *[[name, "--help"] for name in ("clickhouse", "files", "schema", "check")]]
)
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("usage: routee-sinks")


@pytest.mark.parametrize("arguments", [[], ["postgres"], ["clickhouse", "--fast"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    assert "usage: routee-sinks" in capsys.readouterr().err


def test_wrong_settings_are_a_line_each_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINKS_ADMIN_PORT", "http")
    monkeypatch.setenv("SINKS_FILES_FORMAT", "csv")
    assert main(["files"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("=")[0] for line in lines] == ["SINKS_ADMIN_PORT", "SINKS_FILES_FORMAT"]


def test_a_folder_need_not_be_there_but_must_be_possible(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert list(folder_problems(tmp_path / "not" / "yet")) == []
    assert list(folder_problems(tmp_path / "file" / "below")) == [
        f"SINKS_FILES_ROOT={tmp_path / 'file' / 'below'}: {tmp_path / 'file'} is not a folder"
    ]
    assert list(folder_problems(Path("/proc/not"))) == [
        "SINKS_FILES_ROOT=/proc/not: /proc cannot be written to: No such file or directory"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("wrong", ["KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_wrong_files_for_tls_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong: str, content: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("SINKS_ADMIN_PORT", "0")
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv(wrong, str(tmp_path / "file.pem"))
    if content:
        (tmp_path / "file.pem").write_text(content)
    assert main(["files"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    message = json.loads(line)["message"]
    assert message.startswith(f"{wrong}={tmp_path / 'file.pem'}: ")


def test_the_log_is_json_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("SINKS_ADMIN_PORT", "0")
    monkeypatch.setenv("SINKS_FILES_ROOT", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert main(["files"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == (f"SINKS_FILES_ROOT={tmp_path / 'file'}: {tmp_path / 'file'} is not a folder")
