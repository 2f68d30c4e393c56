"""
`routee-ingest backfill`: one round, or with `--watch` one after the other until SIGTERM.
"""

import asyncio
import contextlib
import logging
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import uvloop
from aiohttp import ClientSession

from ingest.backfill.client import Routee
from ingest.backfill.errors import BadRequestError, NoAnswerError, TopicsError, WrongUrlError
from ingest.backfill.filling import Filling
from ingest.backfill.known import Known
from ingest.backfill.rounds import Backfill, Job
from ingest.backfill.seen import Seen
from ingest.backfill.settings import WINDOW_HOURS, BackfillSettings
from ingest.backfill.topics import Topics
from ingest.clock import Clock, SystemClock
from ingest.errors import NotStoredError
from ingest.kafka.log import running_log
from streams.program.listening import url_of
from streams.program.pages import page_server
from streams.program.signals import ending_signals

logger = logging.getLogger(__name__)

_ROUND_SECONDS: Final = 60.0
_SWEEP_SECONDS: Final = 3600.0


def run(settings: BackfillSettings, args: Namespace) -> None:
    """Do what the options say; raises IngestError, one line."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, args, SystemClock()))


async def _run(settings: BackfillSettings, args: Namespace, clock: Clock) -> None:
    known = Known(int((clock.wall() - WINDOW_HOURS * 3600) * 1000), settings.streams_conflicting_finals)
    async with ClientSession() as session, contextlib.AsyncExitStack() as kafka:
        routee = Routee(settings, session, clock)
        await routee.reach()
        topics = await kafka.enter_async_context(_topics(settings, known, clock))
        log = await kafka.enter_async_context(running_log(settings, clock))
        filling = None if args.dry_run else Filling(log, settings.kafka_partitions, clock)
        backfill = Backfill(routee, known, filling, settings.window_seconds, clock)
        if args.watch and filling is not None:
            seen = Seen(backfill.tally, routee, filling)
            async with _pages(seen, settings):
                grace = settings.backfill_grace_seconds
                await _Watching(backfill, topics, seen, clock, grace).until_stopped()
            return
        await topics.catch_up()
        began = clock.monotonic()
        await _once(backfill, settings, args, clock)
        _tell(backfill, routee, clock.monotonic() - began, dry=args.dry_run)


async def _once(backfill: Backfill, settings: BackfillSettings, args: Namespace, clock: Clock) -> None:
    if args.begin:
        if args.begin < backfill.told_since:
            logger.warning("--from is before all that Routee tells: the range begins %s", _text(backfill.told_since))
        await backfill.time_range(args.begin, args.end or clock.wall())
    jobs = [Job(0, "campaign", name) for name in args.campaign] + [Job(0, "message", name) for name in args.message]
    await backfill.run(jobs)
    if not jobs:
        await backfill.round(settings.backfill_grace_seconds)


@asynccontextmanager
async def _pages(seen: Seen, settings: BackfillSettings) -> AsyncIterator[None]:
    with settings.endpoint.bind() as listener:
        server = page_server(seen.pages())
        await server.start(listener)
        logger.info("pages at %s", url_of(listener))
        try:
            yield
        finally:
            await server.close()


@dataclass(frozen=True, slots=True)
class _Watching:
    """Rounds, one a minute, and every hour a sweep over the hour before the grace."""

    backfill: Backfill
    topics: Topics
    seen: Seen
    clock: Clock
    grace_seconds: float

    async def until_stopped(self) -> None:
        """Return at SIGTERM. Routee or Kafka being away costs a round, not the program."""
        stop = asyncio.Event()
        for number in ending_signals():
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        next_sweep = self.clock.monotonic()
        while not stop.is_set():
            working = asyncio.create_task(self._one_round(sweep=self.clock.monotonic() >= next_sweep))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working
                return
            if working.result():
                next_sweep = self.clock.monotonic() + _SWEEP_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping, _ROUND_SECONDS)

    async def _one_round(self, *, sweep: bool) -> bool:
        """Return whether a range of time was swept."""
        try:
            await self.topics.catch_up()
            await self.backfill.round(self.grace_seconds)
            if sweep:
                await self.backfill.sweep(self.clock.wall() - self.grace_seconds)
        except (NoAnswerError, BadRequestError, WrongUrlError, TopicsError, NotStoredError) as error:
            logger.warning("this round ends early, the next one goes on: %s", error)
            self.seen.trouble = "the last round ended early: the log says why"
            return False
        self.seen.trouble, self.seen.round_end = None, self.clock.wall()
        return sweep


def _tell(backfill: Backfill, routee: Routee, seconds: float, *, dry: bool) -> None:
    tally = backfill.tally
    healed = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.healed.items())) or "none"
    logger.info(
        "%s: %s; %d reports; %d requests in %.0f s; %d held back without the id of their campaign, %d unknown, "
        "%d unreadable; unsettled %d; gone %d (price %s)",
        *("would be healed, nothing was stored" if dry else "healed", healed, tally.reports, routee.asked, seconds),
        *(tally.nameless, tally.unknown, sum(tally.unreadable.values()), tally.unsettled, tally.gone, tally.gone_price),
    )


@asynccontextmanager
async def _topics(settings: BackfillSettings, known: Known, clock: Clock) -> AsyncIterator[Topics]:
    topics = Topics(settings, known, clock)
    try:
        await topics.open()
        yield topics
    finally:
        await topics.close()


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
