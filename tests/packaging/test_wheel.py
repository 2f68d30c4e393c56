"""
The wheel and the source archive: whole, and enough for all programs in an environment that knows nothing else.

Dependencies come as they do for people: by uv, out of its cache, which `make` has just filled, or else from the index.
"""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from streams.contract.records import PUBLIC_RECORDS
from streams.contract.schemas import FOLDER
from tests.support.markdown import ROOT

PROGRAMS = ("routee-ingest", "routee-streams", "routee-sinks", "routee-console", "routee-sandbox")
PACKAGES = ("ingest", "streams", "sinks", "console", "sandbox")
READ = {".sql", ".json", ".lock", ".yaml", ".xml", ".html", ".css", ".js", ".svg"}
"""Endings of files that the programs read, beside their code."""
UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it and without the project's folder, and an empty folder to work in."""

    folder: Path
    home: Path

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.home,
            env=kept | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def uv(*arguments: str | Path) -> None:
    result = subprocess.run([UV, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with both archives; the wheel is built from the source archive, not from the project's folder."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Give what the Dockerfile installs: the programs without the extra `sandbox`, with the versions of the lock."""
    folder = tmp_path_factory.mktemp("environment")
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    locked = ("--require-hashes", "--constraint", "requirements.lock", "--requirement", "pyproject.toml")
    uv("pip", "install", "--quiet", "--python", python, *locked)
    uv("pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
    uv("pip", "check", "--python", python)
    (folder / "home").mkdir()
    return Installed(folder / "venv", folder / "home")


@pytest.fixture
def environment(kafka: KafkaCluster, clickhouse: ClickHouseServer, topic_prefix: str, database: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "KAFKA_PARTITIONS": "2",
        "CLICKHOUSE_URL": clickhouse.url,
        "CLICKHOUSE_PASSWORD": clickhouse.password,
        "CLICKHOUSE_DATABASE": database,
        "INGEST_HOST": "127.0.0.1",
    }


def files_beside_the_code() -> set[str]:
    """Return what the programs read that is no code, as git knows it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in names if (ROOT / name).is_file() and Path(name).suffix in READ}


def test_the_wheel_has_what_the_programs_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = files_beside_the_code()
    assert {Path(name).suffix for name in wanted} == READ
    assert wanted - names == set()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")] != []


def test_the_source_archive_has_every_checked_in_file(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    checked_in = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name for name in checked_in.stdout.splitlines() if (ROOT / name).is_file()} - names == set()


def test_modules_are_imported_from_the_wheel(installed: Installed) -> None:
    code = f"from importlib import import_module as load; print(*(load(name).__file__ for name in {PACKAGES}))"
    found = installed.run("python", "-c", code).stdout.split()
    assert [Path(file).is_relative_to(installed.folder) for file in found] == [True] * len(PACKAGES)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_explains_itself(installed: Installed, program: str) -> None:
    result = installed.run(program, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: {program}")


def test_the_json_schemas_are_loaded_from_the_wheel(installed: Installed) -> None:
    code = (
        "import json; from streams.contract.schemas import FOLDER; "
        "print(json.dumps({file.stem: json.loads(file.read_text()) for file in FOLDER.iterdir()}))"
    )
    found = json.loads(installed.run("python", "-c", code).stdout)
    assert found == {topic: json.loads((FOLDER / f"{topic}.json").read_text()) for topic in PUBLIC_RECORDS}


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_the_programs_make_topics_and_tables_and_find_everything_there(
    installed: Installed, environment: dict[str, str]
) -> None:
    for program, command in (
        ("routee-streams", "topics"),
        ("routee-sinks", "schema"),
        ("routee-ingest", "check"),
        ("routee-streams", "check"),
        ("routee-sinks", "check"),
    ):
        result = installed.run(program, command, **environment)
        assert result.returncode == 0, (program, command, result.stdout, result.stderr)
