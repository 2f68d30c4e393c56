"""Files of the programs are for their own user alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.markdown import ROOT


@pytest.mark.parametrize("command", ["sinks.cli", "streams.cli", "ingest.cli", "sandbox.cli"])
def test_every_program_keeps_its_files_private(command: str) -> None:
    source = (ROOT / command.replace(".", "/")).with_suffix(".py").read_text()
    assert "    keep_files_private()\n" in source


def test_files_and_folders_are_for_their_owner_alone_also_those_of_children(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, pathlib; from streams.program.private_files import keep_files_private;"
        "keep_files_private(); pathlib.Path('folder').mkdir(); open('file', 'w').close();"
        "subprocess.run(['sh', '-c', 'echo > child; mkdir made'], check=True)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()}
    assert modes == {"folder": 0o700, "made": 0o700, "file": 0o600, "child": 0o600}
