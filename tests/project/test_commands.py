"""
The commands that people are told of exist, and explain themselves.
"""

import platform
import re
import shlex
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import metadata

import pytest

from console.cli import main as console
from ingest.cli import main as ingest
from sandbox.cli import main as sandbox
from sandbox.demo.run import traffic_options as demo_traffic
from sandbox.emulator.arguments import add_arguments, traffic_options
from sandbox.emulator.traffic.options import TrafficOptions
from sinks.cli import main as sinks
from streams.cli import main as streams
from tests.support.markdown import ROOT

COMMANDS: dict[str, tuple[Callable[[list[str]], int], tuple[str, ...]]] = {
    "routee-ingest": (ingest, ("serve", "check", "backfill", "redrive")),
    "routee-streams": (
        streams,
        ("worker", "topics", "check", "rebuild", "erase", "export", "judge", "replay", "compare", "alarms", "contract"),
    ),
    "routee-sinks": (sinks, ("clickhouse", "files", "schema", "check", "erasure")),
    "routee-console": (console, ("serve", "check")),
    "routee-sandbox": (sandbox, ("up", "demo", "emulate", "verify")),
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


@pytest.mark.parametrize("program", COMMANDS)
def test_the_readme_names_each_command_of_a_program(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    main, commands = COMMANDS[program]
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = re.findall(r"^    (?:  )?([a-z]+)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    assert sorted(shown) == sorted(commands)
    named = ", ".join(f"`{command}`" for command in commands).replace("`", f"`{program} ", 1)
    assert named in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("program", "command"), [(program, command) for program, (_, commands) in COMMANDS.items() for command in commands]
)
def test_a_command_has_help(program: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        COMMANDS[program][0]([command, "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {program} {command}")


@pytest.mark.parametrize("program", COMMANDS)
def test_a_program_tells_its_version(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        COMMANDS[program][0](["--version"])
    assert left.value.code == 0
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr() == (f"{program} {version}, Python {platform.python_version()}\n", "")


def test_the_version_is_written_in_one_place() -> None:
    version = metadata.version("routee-callbacks")
    folders = ("ingest", "streams", "sinks", "console", "sandbox")
    sources = [file for name in folders for file in (ROOT / name).rglob("*.py")]
    assert [str(file) for file in sources if f'"{version}"' in file.read_text()] == []


@pytest.mark.parametrize("program", COMMANDS)
def test_the_installed_command_is_the_programs(program: str) -> None:
    (script,) = metadata.entry_points(group="console_scripts", name=program)
    assert script.value == f"{program.removeprefix('routee-')}.__main__:main"


@pytest.mark.parametrize("program", COMMANDS)
@pytest.mark.parametrize("arguments", [[], ["no-such-command"]])
def test_wrong_usage_is_2(program: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        COMMANDS[program][0](arguments)
    assert left.value.code == 2
    assert f"{program}: error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "command", "begins"),
    [
        ("routee-ingest", "check", "ingest.check.problems"),
        ("routee-streams", "check", "streams.admin.topics.verify"),
        ("routee-sinks", "check", "sinks.cli.problems"),
        ("routee-console", "check", "console.check.problems"),
        ("routee-sandbox", "up", "sandbox.cli.import_module"),
    ],
)
def test_an_interrupted_command_ends_with_130_and_says_nothing(
    program: str, command: str, begins: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("INGEST_HOST", "127.0.0.1")  # another one needs a secret
    monkeypatch.setattr(begins, interrupt)
    monkeypatch.setattr(f"{program.removeprefix('routee-')}.cli.configure_logging", lambda *_: None, raising=False)
    assert COMMANDS[program][0]([command]) == 130
    assert capfd.readouterr() == ("", "")


def emulated(text: str) -> list[TrafficOptions]:
    """Return the traffic of each command in a text that starts the emulator with options."""
    parser = ArgumentParser()
    add_arguments(parser)
    lines = re.findall(r"routee-sandbox emulate (--[^`\n]+)", text)
    return [traffic_options(parser.parse_args(shlex.split(line))) for line in lines]


@pytest.mark.parametrize("readme", ["README.md", "sandbox/emulator/README.md", "sinks/README.md"])
def test_the_emulator_understands_the_commands_of_a_readme(readme: str) -> None:
    assert len(emulated((ROOT / readme).read_text())) == 1


def test_the_answers_of_the_sinks_readme_are_those_of_the_demos_traffic() -> None:
    (traffic,) = emulated((ROOT / "sinks" / "README.md").read_text())
    assert traffic == demo_traffic(7, "http://127.0.0.1:8080/callbacks", 1500)
