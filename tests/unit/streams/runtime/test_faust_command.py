"""`faust -A streams.worker worker`: what is wrong is said in one line, as `routee-streams` says it."""

import os
import subprocess
import sys
from pathlib import Path


def faust(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("faust")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "STREAMS_"))}
    return subprocess.run(
        [command, "-A", "streams.worker", "worker"],
        env={**environment, **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_wrong_settings_are_a_line_each(tmp_path: Path) -> None:
    ended = faust(tmp_path, KAFKA_PARTITIONS="many", STREAMS_STORE="paper")
    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == [
        "KAFKA_PARTITIONS=many",
        "STREAMS_STORE=paper",
    ]
