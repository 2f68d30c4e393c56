"""
All benchmarks, one after the other: `make bench`, or `python -m tests.bench NAME …` for some of them.
"""

import argparse
import importlib
import sys
from typing import Final

BENCHMARKS: Final = (
    "ingest", "ingest_instructions", "instructions", "cells", "streams", "replay", "sinks", "sink_instructions",
    "visibility", "views", "erasures", "blanking", "alarms", "console", "scale",
)  # fmt: skip


def main() -> int:
    """Run the benchmarks that are named, all when none is."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS))
    for name in parser.parse_args().names or BENCHMARKS:
        print(f"== {name}", flush=True)  # noqa: T201 - figures are for people
        status = int(importlib.import_module(f"tests.bench.{name}").main([]) or 0)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
