"""
The command line of the ClickHouse stand-in: `python -m sandbox.clickhouse --port 8123 --path FOLDER`.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from sandbox.clickhouse.confinement import ConfinementError, confine
from sandbox.settings import SandboxSettings
from streams.program.printable import printable, printable_lines
from streams.program.settings import SettingsError, load_settings

_CODE: Final = tuple(Path(sys.modules[name].__path__[0]) for name in ("sandbox", "streams"))


def main() -> int:
    """Serve until SIGTERM; 1 when the data folder can not be opened, 2 for wrong settings."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.clickhouse",
        description="ClickHouse's HTTP interface in front of chDB. One process owns the data folder. "
        "User and password are CLICKHOUSE_USER and CLICKHOUSE_PASSWORD.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8123, help="port to listen on (default: %(default)s)")
    parser.add_argument("--path", type=Path, required=True, help="data folder")
    given = parser.parse_args()
    try:
        settings = load_settings(SandboxSettings)
    except SettingsError as error:
        sys.stderr.write(f"{printable_lines(str(error))}\n")
        return 2
    try:
        scratch = _confine(given.path)
        # The engine starts threads when it is imported, and those of before a confinement stay free.
        from sandbox.clickhouse.engine import Engine  # noqa: PLC0415
        from sandbox.clickhouse.server import serve  # noqa: PLC0415

        engine = Engine(given.path)
        _remove_others(scratch)
    except (OSError, RuntimeError) as error:
        reason = printable(" ".join(str(error).split()))
        sys.stderr.write(f"the data folder {given.path} can not be opened (is another process using it?): {reason}\n")
        return 1
    serve(engine, settings.clickhouse_user, settings.clickhouse_password.get_secret_value(), given.host, given.port)
    return 0


def _confine(folder: Path) -> Path:
    """Keep this process to its data folder, its code, and files of no secret; return the folder for temporary files."""
    all_scratch = folder.absolute() / "scratch"
    all_scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(dir=all_scratch))
    os.environ["TMPDIR"] = str(scratch)
    try:
        confine(folder, _CODE)
    except ConfinementError as error:
        sys.stderr.write(f"SQL can read every file that this user can read: {error}\n")
    return scratch


def _remove_others(scratch: Path) -> None:
    """Remove the temporary files of processes that were killed: no other process has the data folder."""
    for other in scratch.parent.iterdir():
        if other != scratch:
            shutil.rmtree(other, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
