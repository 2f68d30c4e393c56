"""
Make names a Python that it cannot use, and never takes half an installation for a whole one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.markdown import ROOT

OLD = "sys.version_info = (3, 10, 12)"
WITHOUT_VENV = "sys.modules['ensurepip'] = None"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--directory", str(clone), *arguments]
    # `make test` hands down options of its own.
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=60)


def script(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def python_with(clone: Path, line: str) -> Path:
    """Return a Python that runs a line before the code it is given with -c."""
    return script(clone / "python", f"""exec {sys.executable} -c "import sys; {line}; exec(sys.argv[2])" "$@" """)


@pytest.mark.parametrize(
    ("line", "why"), [(OLD, "is Python 3.10."), (WITHOUT_VENV, "has no module venv."), (None, "is not there.")]
)
@pytest.mark.parametrize("target", ["demo", "test-quick"])
def test_of_a_python_that_will_not_do_make_says_why_and_what_to_install(
    clone: Path, target: str, line: str | None, why: str
) -> None:
    python = python_with(clone, line) if line else clone / "python"
    result = make(clone, target, f"PYTHON={python}")
    assert result.returncode == 2
    assert result.stderr.startswith(f"{python} {why}\nPython 3.11 or newer is needed")
    for command in ("apt install python3-venv", "dnf install python3", "brew install python"):
        assert command in result.stderr
    assert not (clone / ".venv").exists()


# Instead of an environment: a pip and a uv that only note that they were called; uv ends as the file `uv-ends` says.
FAKE_PYTHON = """
[ "$1" = -c ] && exit
mkdir -p .venv/bin && cp uv .venv/bin/uv && cp uv .venv/bin/python
echo 'exit 0' > .venv/bin/pip && chmod +x .venv/bin/pip
"""


def test_an_installation_that_was_broken_off_begins_anew(clone: Path) -> None:
    python = script(clone / "fake-python", FAKE_PYTHON)
    script(clone / "uv", 'echo "$@" >> calls; exit $(cat uv-ends)')
    (clone / "uv-ends").write_text("130")
    assert make(clone, ".venv/installed", f"PYTHON={python}").returncode == 2
    assert not (clone / ".venv" / "programs").exists()
    left_over = clone / ".venv" / "left-over"
    left_over.touch()

    (clone / "uv-ends").write_text("0")
    assert make(clone, ".venv/installed", f"PYTHON={python}").returncode == 0
    assert not left_over.exists()
    before = (clone / "calls").read_text()
    assert make(clone, ".venv/installed", f"PYTHON={python}").returncode == 0
    assert (clone / "calls").read_text() == before


def test_the_tools_of_the_tests_are_not_taken_for_installed_when_only_the_programs_are(clone: Path) -> None:
    python = script(clone / "fake-python", FAKE_PYTHON)
    script(clone / "uv", "exit 0")
    assert make(clone, ".venv/programs", f"PYTHON={python}").returncode == 0
    script(clone / ".venv" / "bin" / "uv", "exit 130")
    assert make(clone, ".venv/installed", f"PYTHON={python}").returncode == 2
    assert not (clone / ".venv" / "installed").exists()
    assert (clone / ".venv" / "programs").exists()


def test_without_a_terminal_an_installation_says_its_steps_and_no_more(clone: Path) -> None:
    python = script(clone / "fake-python", FAKE_PYTHON)
    script(clone / "uv", 'echo "$@" >> calls')
    said = make(clone, ".venv/installed", f"PYTHON={python}", "--no-print-directory").stdout.splitlines()
    assert len(said) == 5
    assert all("--quiet" in call for call in (clone / "calls").read_text().splitlines() if "pip install" in call)
