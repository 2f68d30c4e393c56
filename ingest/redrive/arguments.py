"""
The options of `routee-ingest redrive`.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from ingest.moments import moment
from streams.contract.records import Reason
from streams.program.archive import archive_problem


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    reasons = tuple(reason.value for reason in Reason)
    parser.add_argument(
        "--reason", action="append", default=[], choices=reasons, metavar="REASON",
        help=f"callbacks refused for this reason, all reasons without it; may be repeated: {', '.join(reasons)}",
    )  # fmt: skip
    parser.add_argument("--since", type=moment, metavar="TIME", help="callbacks that were received from here on")
    parser.add_argument("--until", type=moment, metavar="TIME", help="and before this time; now without it")
    parser.add_argument("--plan", action="store_true", help="store nothing; say what would become of them, by reason")
    parser.add_argument("--export", type=Path, metavar="FILE", help="store nothing; write them to a file, to correct")
    parser.add_argument(
        "--import", dest="corrected", type=Path, metavar="FILE", help="redrive the callbacks of such a file"
    )
    parser.add_argument(
        "--archive",
        metavar="ARCHIVE",
        help="SINKS_FILES_ROOT, a folder or s3://bucket/prefix, for callbacks that Kafka has no longer",
    )
    parser.add_argument("--rate", type=_rate, default=1000.0, metavar="N", help="callbacks a second, at most; 1000")


def usage_problem(args: Namespace) -> str | None:
    """Return why the options do not go together, None when they do."""
    if args.corrected and (args.reason or args.since or args.until or args.export or args.archive):
        return "--import has the callbacks themselves: of the other options it takes --plan and --rate"
    if not args.corrected and not args.since:
        return "--since is needed, or --import"
    if args.until and args.until <= args.since:
        return "--until is before --since"
    if args.plan and args.export:
        return "--plan and --export both store nothing: give one of them"
    if args.archive and (problem := archive_problem(args.archive)):
        return f"--archive {problem}"
    return None


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1_000_000:  # noqa: PLR2004 - no limit at all
        raise ArgumentTypeError(f"{text!r} is no number of callbacks a second above 0")
    return rate
