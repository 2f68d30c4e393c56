"""
The cost of the console: searches among ten million SMS, live numbers from a post to the screen, ten thousand campaigns.

`python -m tests.bench.console [PART …]`, parts `search`, `inserts`, `campaigns`, `live`; `--help` has the options.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.bench.console import campaigns, live, search

_PARTS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "search": search.searches,
    "inserts": search.inserts,
    "campaigns": campaigns.campaigns,
    "live": live.live,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are named, all when none is; the exit code of the first that misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], metavar="PART", help=", ".join(_PARTS))
    parser.add_argument("--sms", type=int, default=10_000_000, help="among which is searched")
    parser.add_argument("--rate", type=int, default=5_000, help="callbacks a second of the part live")
    parser.add_argument("--seconds", type=int, default=60, help="of the part live")
    parser.add_argument("--viewers", type=int, default=200, help="tabs of the part live")
    given = parser.parse_args(arguments)
    return next((code for part in given.parts or _PARTS if (code := _PARTS[part](given))), 0)


if __name__ == "__main__":
    sys.exit(main())
