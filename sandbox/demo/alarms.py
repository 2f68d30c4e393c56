"""
An operator that breaks, and the alarm that opens and closes: a day and more of traffic, in simulated time.

Alarms need a day to learn the usual, so this part of the demo does not wait for it: the emulator's callbacks go
through the rules of streams by `routee-streams alarms rehearse`, without Kafka and in their own time.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, Final

import orjson

from sandbox.emulator.traffic.breaks import Break, Kind, breaks
from sandbox.emulator.traffic.model import Callback
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule
from sandbox.errors import StartError
from streams.contract.codec import format_time_ms

SINGLES: Final = 5_000
HOURS: Final = 27
_START: Final = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
_OPERATORS: Final = 3
_MOST_SECONDS: Final = 120
_URL: Final = "http://127.0.0.1:8080/callbacks"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The operator that broke, and the records of its alarms."""

    broke: Break
    alarms: list[dict[str, Any]]


def rehearse(seed: int) -> Rehearsed:
    """Return what a day of traffic of the seed tells; StartError when the command fails."""
    command = [str(Path(sys.executable).with_name("routee-streams")), "alarms", "rehearse"]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            input=b"".join(recorded(seed)),
            capture_output=True,
            timeout=_MOST_SECONDS,
            check=True,
            env={**os.environ, "STREAMS_ALARM_THRESHOLDS": ""},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(f"routee-streams alarms rehearse: {error}") from error
    broke, told = broken_operator(seed), map(orjson.loads, done.stdout.splitlines())
    name = (broke.route.country, broke.route.operator)
    return Rehearsed(
        broke, [one for one in told if (one["country"], one["operator"]) == name and one["level"] == "alarm"]
    )


def broken_operator(seed: int) -> Break:
    """Return the operator that breaks."""
    (broke,) = breaks(_options(seed), _START)
    return broke


def recorded(seed: int) -> Iterator[bytes]:
    """Yield the traffic of the seed as envelopes, a line each, as far as it comes within the day."""
    end = _START + HOURS * 3600
    yield from envelopes(takewhile(lambda callback: callback.at < end, schedule(_options(seed), _START)))


def _options(seed: int) -> TrafficOptions:
    return TrafficOptions(
        seed,
        _URL,
        campaigns=0,
        recipients=0,
        singles=SINGLES,
        singles_seconds=HOURS * 3600.0,
        breaks=1,
        operators=_OPERATORS,
        malformed=0,
    )


def envelopes(callbacks: Iterable[Callback]) -> Iterator[bytes]:
    """Yield a line for the callbacks of each second: an envelope as ingest would write it."""
    for second, some in groupby(callbacks, key=lambda callback: int(callback.at)):
        bodies = b",".join(callback.body for callback in some if not callback.lost)
        if bodies:
            yield b'{"received_at":"%s","callbacks":[%s]}\n' % (format_time_ms(second * 1000).encode(), bodies)


def lines(told: Rehearsed) -> Iterator[str]:
    """Yield what happened, a line for the operator and for each record of its alarms."""
    broke = told.broke
    name, minutes = f"{broke.route.operator} ({broke.route.country})", (broke.ends - broke.begins) / 60
    yield f"{_clock(broke.begins)}  {name} {_how(broke)}, for {minutes:.0f} minutes"
    for one in told.alarms:
        at, since, what = (
            (one["opened_at"], broke.begins, "the break")
            if one["is_open"]
            else (one["closed_at"], broke.ends, "its end")
        )
        moment = datetime.fromisoformat(at).timestamp()
        state = (
            f"{one['kind']} opens: {one['why']}" if one["is_open"] else f"{one['kind']} closes: {one['closed_because']}"
        )
        yield f"{_clock(moment)}  {(moment - since) / 60:.0f} minutes after {what}, {state}"


def _how(broke: Break) -> str:
    if broke.kind is Kind.SHARE:
        return f"loses {100 * broke.degree:.0f} % of its deliveries"
    return f"takes {broke.degree:.0f} times as long" if broke.kind is Kind.LATENCY else "tells nothing"


def _clock(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%a %H:%M")
