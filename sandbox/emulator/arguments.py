"""
The options of `routee-sandbox emulate`, and what they mean for the traffic and the sender.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import fields
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Final

from sandbox.emulator.connection import Target
from sandbox.emulator.losses import Losses
from sandbox.emulator.pull.options import DateMeaning, PullOptions
from sandbox.emulator.retries import RetrySchedule
from sandbox.emulator.sender import SendOptions
from sandbox.emulator.traffic.model import Strategy
from sandbox.emulator.traffic.options import TrafficOptions

_USAGE: Final = "routee-sandbox emulate --url URL [options]"
_STRATEGIES: Final = {
    "on-change": (Strategy.ON_CHANGE,),
    "on-completion": (Strategy.ON_COMPLETION,),
    "mixed": (Strategy.ON_CHANGE, Strategy.ON_COMPLETION),
}
_SIZES: Final = {
    "campaigns": "campaigns",
    "recipients": "recipients of each campaign",
    "singles": "messages that belong to no campaign",
    "breaks": "operators that break for a while during the single messages: lost SMS, slow ones, or silence",
}
_SHARES: Final = {
    "duplicates": "share of callbacks that come again",
    "reorder": "share of callbacks that later ones overtake",
    "lost": "share of callbacks that never come",
    "multipart": "share of messages with 2 to 4 parts",
    "conflicts": "share of SMS with a second, different final status",
    "malformed": "share of callbacks followed by bytes that are none",
    "legacy": "share of one-part messages in the shape of 2016: no smsId, part, label, reason",
}
_NUMBERS: Final = (*_SIZES, "operators", "singles_seconds", *_SHARES)
_STRATEGY_HELP: Final = "call back at every change, or with final statuses only; mixed takes turns (%(default)s)"
_START_HELP: Final = "Routee's time at the start; the last SMS may end 24 hours after it was sent (yesterday 00:00 UTC)"
_RETRY_HELP: Final = "multiplies Routee's waits of 30 s to 24 h before it posts again; 1 is Routee's pace (%(default)s)"
_DATES_HELP: Final = "which date of an SMS a range of time compares (%(default)s)"
_DEFAULTS: Final = {field.name: field.default for field in fields(TrafficOptions)}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options to a parser; a wrong value ends the program with one line and exit code 2."""
    parser.usage = _USAGE
    traffic = parser.add_argument_group("what is sent")
    traffic.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same traffic (%(default)s)")
    for name, about in _SIZES.items():
        traffic.add_argument(
            f"--{name}", type=_count, default=_DEFAULTS[name], metavar="N", help=f"{about} (%(default)s)"
        )
    traffic.add_argument(
        "--operators",
        type=at_least_one,
        default=_DEFAULTS["operators"],
        metavar="N",
        help="so many operators have all traffic (%(default)s)",
    )
    traffic.add_argument(
        "--singles-seconds",
        type=_positive,
        default=_DEFAULTS["singles_seconds"],
        metavar="SECONDS",
        help="of Routee's time within which the single messages are queued (%(default)s)",
    )
    traffic.add_argument("--strategy", choices=_STRATEGIES, default="on-change", help=_STRATEGY_HELP)
    for name, about in _SHARES.items():
        traffic.add_argument(
            f"--{name}", type=_share, default=_DEFAULTS[name], metavar="SHARE", help=f"{about} (%(default)s)"
        )
    traffic.add_argument("--start", type=_time, metavar="TIME", help=_START_HELP)

    sending = parser.add_argument_group("how it is sent")
    sending.add_argument("--url", type=_url, required=True, help="where callbacks are posted")
    sending.add_argument(
        "--rate", type=_positive, default=500.0, metavar="PER_SECOND", help="callbacks per second (500)"
    )
    sending.add_argument(
        "--connections", type=at_least_one, default=64, metavar="N", help="at most so many (%(default)s)"
    )
    sending.add_argument("--retry-scale", type=_positive, default=0.01, metavar="FACTOR", help=_RETRY_HELP)
    sending.add_argument(
        "--swallowed",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="share of callbacks that are taken for sent, and are not",
    )
    sending.add_argument("--ledger", type=Path, metavar="FILE", help="write the truth to this file, as NDJSON")

    pulling = parser.add_argument_group("what can be pulled")
    pulling.add_argument(
        "--pull-port", type=at_least_one, metavar="PORT", help="serve Routee's pull API on this port, until Ctrl-C"
    )
    pulling.add_argument(
        "--pull-dates", type=DateMeaning, choices=tuple(DateMeaning), default=DateMeaning.STATUS, help=_DATES_HELP
    )
    pulling.add_argument("--pull-old-form", action="store_true", help="tracking objects as in 2016")
    pulling.add_argument("--pull-no-campaign-ids", action="store_true", help="without campaignTrackingId")
    pulling.add_argument(
        "--pull-troubles",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="share of answers that go wrong (%(default)s)",
    )


def traffic_options(args: Namespace) -> TrafficOptions:
    """Return the traffic that was asked for."""
    shares = {name: getattr(args, name) for name in _NUMBERS}
    return TrafficOptions(args.seed, args.url, strategies=_STRATEGIES[args.strategy], **shares)


def send_options(args: Namespace) -> SendOptions:
    """Return the way of sending that was asked for."""
    losses = Losses(args.seed, args.swallowed) if args.swallowed else None
    return SendOptions(args.rate, RetrySchedule(args.retry_scale), args.connections, losses)


def pull_options(args: Namespace) -> PullOptions:
    """Return the behaviour of the pull API that was asked for."""
    return PullOptions(
        dates=args.pull_dates,
        old_form=args.pull_old_form,
        campaign_ids=not args.pull_no_campaign_ids,
        troubles=args.pull_troubles,
    )


def command_line(traffic: TrafficOptions) -> str:
    """Return the command that sends this traffic, without the options that are at their defaults."""
    (strategy,) = (name for name, strategies in _STRATEGIES.items() if strategies == traffic.strategies)
    given = {name: getattr(traffic, name) for name in _NUMBERS}
    changed = [f"--{name.replace('_', '-')} {value}" for name, value in given.items() if value != _DEFAULTS[name]]
    return " ".join(
        [f"routee-sandbox emulate --url {traffic.callback_url} --seed {traffic.seed} --strategy {strategy}", *changed]
    )


def _url(text: str) -> str:
    try:
        Target.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from error
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def at_least_one(text: str) -> int:
    """Return a number of things of which there has to be one; ArgumentTypeError otherwise."""
    if _count(text) == 0:
        raise ArgumentTypeError("at least 1 is needed")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no number") from None


def _positive(text: str) -> float:
    number = _number(text)
    if not 0 < number < inf:
        raise ArgumentTypeError(f"{text!r} is not above 0")
    return number


def _share(text: str) -> float:
    number = _number(text)
    if not 0 <= number <= 1:
        raise ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return number


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time like 2026-11-22T09:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
