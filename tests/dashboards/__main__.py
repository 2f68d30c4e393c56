"""
`python -m tests.dashboards write` writes what follows from the dashboards and the rules; `draw` makes pictures of them.
"""

import argparse

from tests.dashboards.files import write


def main() -> None:
    """Run one of both."""
    parser = argparse.ArgumentParser(prog="python -m tests.dashboards", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("write", help="Grafana's JSON, and the rules for Kubernetes")
    draw = commands.add_parser("draw", help="pictures of the panels, from traffic of the emulator")
    draw.add_argument("--seconds", type=int, default=240, help="how long traffic flows")
    given = parser.parse_args()
    if given.command == "write":
        write()
        return
    from tests.dashboards.drawing import draw_all  # noqa: PLC0415 - matplotlib takes a second to load

    draw_all(given.seconds)


if __name__ == "__main__":
    main()
