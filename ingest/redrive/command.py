"""
`routee-ingest redrive`: refused callbacks go back to `callbacks.raw`, or into a file to be corrected.
"""

import asyncio
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator, Container, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import uvloop

from ingest.clock import Clock, SystemClock
from ingest.kafka.log import KafkaCommitLog, running_log
from ingest.redrive.errors import RedriveError
from ingest.redrive.exports import read_import, write_export
from ingest.redrive.fates import Fate, Judged, Place, Raw, Refused, judged, raw_of, told_by
from ingest.redrive.judging import verdicts
from ingest.redrive.sending import Sending
from ingest.redrive.topics import Topics, Wanted
from streams.program.archive import ArchiveError, open_archive, values_at
from streams.program.settings import CommonSettings

_KAFKA_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
_TOO_LARGE_HINT: Final = "raise max.message.bytes of the topic, or shorten them with --export and --import"


def run(settings: CommonSettings, args: Namespace) -> None:
    """Do what the options say; raises IngestError, a line for each fault."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, args, SystemClock()))


async def _run(settings: CommonSettings, args: Namespace, clock: Clock) -> None:
    corrected = read_import(args.corrected) if args.corrected else None
    async with _topics(settings, clock) as topics:
        found = await (_found(topics, args, clock) if corrected is None else _corrected(topics, corrected))
        ready = [one for one in found if one.fate is Fate.REDRIVE]
        if args.plan:
            _tell(_lines(found))
            _tell(_plan_lines(await asyncio.to_thread(verdicts, ready, int(clock.wall() * 1000))))
        elif args.export:
            exported = [one for one in found if one.fate in {Fate.REDRIVE, Fate.NO_CALLBACK}]
            write_export(args.export, exported)
            _tell(_lines(found))
            _tell([f"{args.export}: {len(exported)} callbacks, with numbers and texts; only you may read it"])
        else:
            _tell(_lines(found))
            stored, too_large = await _store(settings, args.rate, topics, ready, clock)
            _tell([f"redriven: {stored}"])
            if too_large:
                raise RedriveError(
                    f"{too_large} callbacks are too large for Kafka, and were left out: {_TOO_LARGE_HINT}"
                )


async def _found(topics: Topics, args: Namespace, clock: Clock) -> list[Judged]:
    until = args.until if args.until is not None else clock.wall()
    erasures = await topics.erasures()
    refused = await topics.refused(Wanted(args.since * 1000, until * 1000, frozenset(args.reason)))
    if not refused:
        return []
    places: dict[Place, set[int]] = {}
    for one in refused:
        if one.place is not None:
            places.setdefault(one.place[:2], set()).add(one.place[2])
    raw = await topics.raw(places, refused[0].first_received_at_ms)
    if args.archive:
        raw |= await asyncio.to_thread(_archived, args.archive, {at: places[at] for at in places.keys() - raw.keys()})
    return [judged(*_bytes_of(one, raw), topics.done, erasures) for one in refused]


def _bytes_of(refused: Refused, raw: dict[Place, Raw | None]) -> tuple[Refused, bytes | None]:
    return (refused, refused.body) if refused.record is None else told_by(refused, raw.get(refused.record))


def _archived(root: str, places: Mapping[Place, Container[int]]) -> dict[Place, Raw | None]:
    try:
        return {place: raw_of(value, places[place]) for place, value in values_at(open_archive(root), places).items()}
    except ArchiveError as error:
        raise RedriveError(f"--archive {error}") from error


async def _corrected(topics: Topics, callbacks: Sequence[tuple[Refused, bytes]]) -> list[Judged]:
    erasures = await topics.erasures()
    if callbacks:
        await topics.raw({}, min(refused.first_received_at_ms for refused, _ in callbacks))
    return [judged(refused, body, topics.done, erasures) for refused, body in callbacks]


async def _store(
    settings: CommonSettings, rate: float, topics: Topics, ready: Sequence[Judged], clock: Clock
) -> tuple[int, int]:
    """Return how many callbacks were stored, and how many Kafka does not take for their size."""
    if not ready:
        return 0, 0
    async with _ready_log(settings, clock) as log:
        sending = Sending(log, settings.kafka_partitions, clock, rate, topics.done, topics.catch_up)
        await sending.store(ready)
        return sending.stored, sending.too_large


def _lines(found: Sequence[Judged]) -> Iterator[str]:
    """Yield a line for each reason, with the number of callbacks of each fate."""
    for reason in sorted({one.refused.reason for one in found}):
        fates = Counter(one.fate for one in found if one.refused.reason == reason)
        told = ", ".join(f"{fates[fate]} {fate}" for fate in Fate if fates[fate])
        yield f"{reason}: {fates.total()} refused: {told}"
    if not found:
        yield "no callback was refused then, for such a reason"


def _plan_lines(counts: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each reason, with the number of callbacks of each verdict of today's rules."""
    for reason in sorted({reason for reason, _ in counts}):
        told = ", ".join(f"{count} {verdict}" for (of, verdict), count in sorted(counts.items()) if of == reason)
        yield f"{reason}: today's rules would make of those to redrive: {told}"


def _tell(lines: Iterator[str] | Sequence[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@asynccontextmanager
async def _topics(settings: CommonSettings, clock: Clock) -> AsyncIterator[Topics]:
    topics = Topics(settings, clock)
    try:
        await topics.open()
        yield topics
    finally:
        await topics.close()


@asynccontextmanager
async def _ready_log(settings: CommonSettings, clock: Clock) -> AsyncIterator[KafkaCommitLog]:
    """Give the log once it can take records; raises RedriveError when it cannot for a while, and says why."""
    async with running_log(settings, clock) as log:
        deadline = clock.monotonic() + _KAFKA_SECONDS
        while log.trouble is not None:
            if clock.monotonic() > deadline:
                raise RedriveError(f"nothing was stored: {log.trouble}")
            await clock.sleep(_LOOK_SECONDS)
        yield log
