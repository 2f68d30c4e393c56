"""
The options of `routee-ingest backfill`.
"""

from argparse import ArgumentParser, Namespace

from ingest.moments import moment


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--watch", action="store_true", help="go on until SIGTERM: a round each minute")
    parser.add_argument("--from", dest="begin", type=moment, metavar="TIME", help="ask for a range of time from here")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="its end; now without it")
    parser.add_argument("--campaign", action="append", default=[], metavar="ID", help="ask for a campaign")
    parser.add_argument("--message", action="append", default=[], metavar="ID", help="ask for a message")
    parser.add_argument("--dry-run", action="store_true", help="store nothing; say how many requests and how long")


def usage_problem(args: Namespace) -> str | None:
    """Return why the options do not go together, None when they do."""
    asked = args.campaign or args.message or args.begin
    if args.watch and (asked or args.dry_run):
        return "--watch finds its work itself: it takes no other option"
    if args.end and not args.begin:
        return "--to needs --from"
    if args.begin and args.end and args.end <= args.begin:
        return "--to is before --from"
    return None
