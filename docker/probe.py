"""
The health of a container: whether the program it runs says of itself that it is ready.

Exit 0 when `/readyz` of the program answers 200, or when the command is one that ends by itself; else 1 and why.
"""

# ruff: noqa: INP001 - a file of the image, in no package
import http.client
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

# Program and command of each server: the setting with the port of its pages, and the port when that is not set. The
# backfill is one with `--watch` only.
SERVERS: Final = {
    ("routee-ingest", "serve"): ("INGEST_ADMIN_PORT", 9101),
    ("routee-ingest", "--watch"): ("BACKFILL_ADMIN_PORT", 9105),
    ("routee-sinks", "clickhouse"): ("SINKS_ADMIN_PORT", 9102),
    ("routee-sinks", "files"): ("SINKS_ADMIN_PORT", 9102),
    ("routee-streams", "worker"): ("STREAMS_ADMIN_PORT", 9103),
    ("routee-console", "serve"): ("CONSOLE_ADMIN_PORT", 9106),
}
# Less than the health check's own time limit, so that the reason is seen.
_SECONDS: Final = 3.0


def main() -> int:
    """Probe the program that process 1 runs."""
    command = Path("/proc/1/cmdline").read_bytes().decode().split("\0")
    port = port_of(command, os.environ)
    if port is None:
        return 0
    try:
        status, reason = _ask(port)
    except (OSError, http.client.HTTPException) as error:
        status, reason = 0, f"port {port}: {error}"
    if status != http.HTTPStatus.OK:
        sys.stderr.write(f"{reason}\n")
    return int(status != http.HTTPStatus.OK)


def port_of(command: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Return the port on which a command line serves its health; None for a command that serves none."""
    words = [_name(word) for word in command]
    for (program, verb), (setting, default) in SERVERS.items():
        if program in words and verb in words[words.index(program) :]:
            return int(environment.get(setting) or default)
    return None


def _name(word: str) -> str:
    return PurePath(word).name


def _ask(port: int) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, f"{answer.status} {answer.read(500).decode(errors='replace').strip()}"
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
