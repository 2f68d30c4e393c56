"""
The command line of the ClickHouse stand-in: `python -m sandbox.clickhouse --port 8123 --path FOLDER`.
"""

import argparse
import sys
from pathlib import Path

from sandbox.clickhouse.engine import Engine
from sandbox.clickhouse.server import serve
from sandbox.settings import SandboxSettings
from streams.program.printable import printable, printable_lines
from streams.program.settings import SettingsError, load_settings


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
        engine = Engine(given.path)
    except (OSError, RuntimeError) as error:
        reason = printable(" ".join(str(error).split()))
        sys.stderr.write(f"the data folder {given.path} can not be opened (is another process using it?): {reason}\n")
        return 1
    serve(engine, settings.clickhouse_user, settings.clickhouse_password.get_secret_value(), given.host, given.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
