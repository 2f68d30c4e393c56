"""
The environment of the programs that the sandbox starts.
"""

import sys
from pathlib import Path

import pytest

from sandbox.addresses import addresses_of
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.process import Process
from sandbox.programs import Launcher
from sandbox.settings import SandboxSettings
from streams.program.settings import load_settings

SECRET = "s3cret-of-a-file-0123456789"  # noqa: S105 - made up here
SHOW = "import os; print({n: v for n, v in os.environ.items() if n.startswith(('INGEST_SECRETS', 'CLICKHOUSE_PASS'))})"


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
