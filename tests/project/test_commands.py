"""
The commands that people are told of exist, and explain themselves.
"""

from collections.abc import Callable

import pytest

from ingest.cli import main as ingest
from sandbox.cli import main as sandbox
from sinks.cli import main as sinks
from streams.cli import main as streams

COMMANDS: dict[str, tuple[Callable[[list[str]], int], tuple[str, ...]]] = {
    "routee-ingest": (ingest, ("serve", "check")),
    "routee-streams": (streams, ("worker", "topics", "check", "rebuild")),
    "routee-sinks": (sinks, ("clickhouse", "files", "schema", "check")),
    "routee-sandbox": (sandbox, ("up", "demo", "emulate")),
}


@pytest.mark.parametrize("program", COMMANDS)
def test_a_program_lists_its_commands(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    main, commands = COMMANDS[program]
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {program}")
    assert [command for command in commands if command not in shown] == []


@pytest.mark.parametrize(
    ("program", "command"), [(program, command) for program, (_, commands) in COMMANDS.items() for command in commands]
)
def test_a_command_has_help(program: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        COMMANDS[program][0]([command, "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {program} {command}")


@pytest.mark.parametrize("program", COMMANDS)
@pytest.mark.parametrize("arguments", [[], ["no-such-command"]])
def test_wrong_usage_is_2(program: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        COMMANDS[program][0](arguments)
    assert left.value.code == 2
    assert f"{program}: error:" in capsys.readouterr().err
