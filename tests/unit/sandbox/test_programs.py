"""
The environment of the programs that the sandbox starts.
"""

import sys
from pathlib import Path

import pytest

from sandbox.addresses import addresses_of
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.process import Process
from sandbox.programs import Launcher, Program
from sandbox.settings import SandboxSettings
from sandbox.stack import Sandbox
from streams.program.settings import load_settings

SECRET = "s3cret-of-a-file-0123456789"  # noqa: S105 - made up here
NAMES = ("INGEST_SECRETS", "CLICKHOUSE_PASS", "CONSOLE_PROGRAMS")
SHOW = f"import os; print({{n: v for n, v in os.environ.items() if n.startswith({NAMES})}})"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SandboxSettings:
    (tmp_path / "secret").write_text(SECRET)
    for name in ("INGEST_SECRETS", "CLICKHOUSE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    return load_settings(SandboxSettings, env_file=None, sandbox_dir=tmp_path)


def environment_of(process: Process) -> str:
    process._command = [sys.executable, "-c", SHOW]
    process.start()
    process.require_success(30)
    return process.log.read_text()


def test_programs_are_told_the_secrets_that_the_sandbox_read_and_no_file(settings: SandboxSettings) -> None:
    launcher = Launcher(settings, addresses_of(settings), settings.sandbox_dir)
    shown = environment_of(launcher.process("ingest", ("routee-ingest", "serve")))
    for name in ("INGEST_SECRETS", "CLICKHOUSE_PASSWORD"):
        assert f"'{name}': '{SECRET}'" in shown
        assert f"'{name}_FILE': ''" in shown


def test_clickhouse_is_told_its_password_and_no_file(settings: SandboxSettings) -> None:
    server = ClickHouseServer(settings.sandbox_dir, 1, "default", "of-the-caller")
    shown = environment_of(server.process)
    assert "'CLICKHOUSE_PASSWORD': 'of-the-caller'" in shown
    assert "'CLICKHOUSE_PASSWORD_FILE': ''" in shown


def test_a_program_beside_the_others_is_told_its_own_settings(settings: SandboxSettings) -> None:
    """So Health of the console has the programs that run here."""
    places = {"CONSOLE_PROGRAMS": "ingest=http://127.0.0.1:9101"}
    beside = Program("console", ("routee-console", "serve"), "http://127.0.0.1:9106", places)
    _, process = Sandbox(settings, beside=[beside])._beside["console"]
    assert f"'CONSOLE_PROGRAMS': '{places['CONSOLE_PROGRAMS']}'" in environment_of(process)
