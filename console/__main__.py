"""
`routee-console`, also as `python -m console`.
"""

import sys

from streams.program.console import run_command


def main() -> int:
    """Run the command; return its exit code."""
    return run_command("console.cli")


if __name__ == "__main__":
    sys.exit(main())
