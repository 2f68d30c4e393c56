"""
`--version` of every command.
"""

import argparse
import platform
import sys
from importlib import metadata
from typing import Final

_PROJECT: Final = "routee-callbacks"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Give a command's parser the option `--version`: the command, the project's version, Python's version."""
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version, and Python's, and exit")


def project_version() -> str:
    """Return the version of the installed project, from its package's metadata: pyproject.toml says it once."""
    try:
        return metadata.version(_PROJECT)
    except metadata.PackageNotFoundError:
        return "(not installed)"


class _ShowVersion(argparse.Action):
    """Looks the version up when it is asked for: reading metadata takes longer than starting."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{parser.prog} {project_version()}, Python {platform.python_version()}\n")
        parser.exit()
