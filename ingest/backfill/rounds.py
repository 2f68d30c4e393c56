"""
The work of the backfill: campaigns, messages and ranges of time that are asked for, and the filling of the gaps.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any, Final, NamedTuple

from ingest.backfill.client import PAGE_ROWS, Page, Routee
from ingest.backfill.errors import BadRequestError, NoAnswerError
from ingest.backfill.filling import Filling
from ingest.backfill.known import Known, KnownMessage
from ingest.backfill.lists import MOST_ROWS, parts, whole
from ingest.backfill.tracking import Tracked, report, tracked, with_campaign
from ingest.clock import Clock
from ingest.errors import IngestError, NotStoredError

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Jobs that run together: they take turns at the requests, so a large campaign starves no other."""

_MARGIN_SECONDS: Final = 60.0
_OVERLAP_SECONDS: Final = 600.0
_FIRST_PAUSE_SECONDS: Final = 3600.0
_LONGEST_PAUSE_SECONDS: Final = 86_400.0


@dataclass(slots=True)
class Tally:
    """The results: `healed` by kind, `unreadable` by reason; `gone` are the messages that Routee no longer tells."""

    healed: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    reports: int = 0
    unknown: int = 0
    nameless: int = 0
    incomplete: int = 0
    is_judged: bool = False
    """Whether a round has looked for unsettled messages: before, the numbers from here on are not known."""
    unsettled: int = 0
    oldest_deadline: float | None = None
    gone: int = 0
    gone_price: Decimal = Decimal(0)


class Job(NamedTuple):
    """
    One thing to ask for: a `campaign` with its SMS, the `report` of one, or a `message`.

    `deadline` is when Routee stops telling it, in seconds since 1970.
    """

    deadline: float
    kind: str
    name: str


class Backfill:
    """Asks Routee, compares with the known state, and stores the news; without `filling` it stores nothing."""

    def __init__(
        self, routee: Routee, known: Known, filling: Filling | None, window_seconds: float, clock: Clock
    ) -> None:
        self.tally = Tally()
        self._routee = routee
        self._known = known
        self._filling = filling
        self._window = window_seconds
        self._clock = clock
        self._unknown: set[str] = set()
        self._pauses: dict[tuple[str, str], tuple[float, float]] = {}
        self._campaigns_of_names: set[str] = set()
        self._swept_to: float | None = None

    async def message(self, message_id: str) -> None:
        """Ask for a message."""
        rows = await self._routee.message(message_id)
        if rows is None:
            self._tell_unknown("message", message_id)
        else:
            await self._take(rows)

    async def report(self, campaign_id: str) -> bool:
        """Ask for the details of a campaign; return whether Routee knows it."""
        details = await self._routee.campaign(campaign_id)
        if details is None:
            self._tell_unknown("campaign", campaign_id)
            return False
        found = report(details)
        if isinstance(found, str):
            self.tally.unreadable[found] += 1
        elif not self._known.is_told(campaign_id, found):
            if self._filling is not None:
                await self._filling.store([(campaign_id, found.body)])
                self._known.note_report(campaign_id, found)
            self.tally.reports += 1
        return True

    async def campaign(self, campaign_id: str) -> None:
        """Ask for a campaign: its details, and all its SMS; a long one by ranges of time where pages end too early."""
        first = await self._routee.campaign_page(campaign_id, 0) if await self.report(campaign_id) else None
        if first is None:
            return

        async def page(number: int) -> Page | None:
            return await self._routee.campaign_page(campaign_id, number)

        try:
            rows = await whole(page, first)
        except (BadRequestError, NoAnswerError):
            if first.total <= MOST_ROWS:
                raise
            await self.time_range(*self._open_window(), campaign_id)
            return
        self._tell_missing(rows.missing, f"campaign {campaign_id}")
        await self._take(rows.rows, campaign_id)

    @property
    def told_since(self) -> float:
        """Return since when Routee tells of SMS, in seconds since 1970."""
        return self._open_window()[0]

    async def time_range(self, begin: float, end: float, campaign_id: str | None = None) -> None:
        """Ask for a range of time (seconds since 1970), as far as Routee tells it."""
        begin = max(begin, self._open_window()[0])

        async def page(since: float, until: float, number: int) -> Page | None:
            since = max(since, self._open_window()[0])  # it goes on while a long range is read
            return await self._routee.range_page(since, until, number, campaign_id) if since < until else None

        if begin < end:
            async for part in parts(page, begin, end):
                self._tell_missing(part.missing, f"a range of {part.end - part.begin:.0f} s")
                await self._take(part.rows, campaign_id)

    async def sweep(self, end: float) -> None:
        """Ask for the time from the last sweep to `end`, at first for all that Routee tells; let older ones go."""
        begin = self._open_window()[0] if self._swept_to is None else self._swept_to - _OVERLAP_SECONDS
        await self.time_range(begin, end)
        self._swept_to = end
        self._known.forget(int(self._open_window()[0] * 1000))
        oldest = self._clock.monotonic() - _LONGEST_PAUSE_SECONDS
        self._pauses = {job: pause for job, pause in self._pauses.items() if pause[0] > oldest}

    async def round(self, grace_seconds: float) -> None:
        """
        Ask for the campaigns and messages that may lack callbacks, and have been quiet for the grace.

        Of a campaign that lacks no more than its last report, only the details are asked for. The oldest deadline goes
        first. A campaign or message that did not change is asked for again after an hour, then ever more seldom.
        """
        jobs = self._jobs(self._clock.wall() - grace_seconds)
        await self.run(jobs)
        names = {name for name in self._campaigns_of_names if self._is_due(Job(0, "campaign", name))}
        self._campaigns_of_names.clear()
        await self.run([Job(0, "campaign", name) for name in sorted(names)])

    async def run(self, jobs: Iterable[Job]) -> None:
        """
        Do jobs, some at once; one that fails for a while is left for later and told.

        Raises NoAnswerError when Routee answers nothing at all: each further job would wait for it in vain.
        """
        waiting = iter(sorted(jobs))
        asking = {"campaign": self.campaign, "message": self.message, "report": self.report}

        async def work() -> None:
            for job in waiting:
                before = self._pauses.get(job[1:])
                self._note(job)
                try:
                    await asking[job.kind](job.name)
                except BadRequestError as error:
                    _tell_left(job, error)
                except NoAnswerError as error:  # it tells nothing of the job
                    self._pauses.pop(job[1:], None)
                    self._note(job)
                    _tell_left(job, error)
                    await self._routee.reach()
                except (asyncio.CancelledError, NotStoredError):
                    self._restore(job, before)
                    raise

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(work())
        except ExceptionGroup as errors:  # what `except*` raises is a group again in Python before 3.11.4
            expected, others = errors.split(IngestError)
            if expected is None or others is not None:
                raise
            raise expected.exceptions[0] from None

    def _jobs(self, before: float) -> list[Job]:
        opened = self._open_window()[0]
        jobs = [
            Job(one.first_ms / 1000 + self._window, "campaign" if one.may_lack else "report", one.campaign_id)
            for one in self._known.lacking(int(before * 1000))
            if one.first_ms / 1000 > opened
        ]
        loose: dict[str, list[KnownMessage]] = {}
        self.tally.unsettled, self.tally.gone, self.tally.gone_price, self.tally.is_judged = 0, 0, Decimal(0), True
        for message in self._known.unsettled(int(before * 1000)):
            if message.first_ms / 1000 <= opened:
                self.tally.gone += 1
                self.tally.gone_price += message.price
                continue
            self.tally.unsettled += 1
            loose.setdefault(message.campaign_id or "", []).append(message)
        asked = {job.name for job in jobs if job.kind == "campaign"}
        for campaign_id, messages in loose.items():
            if campaign_id in asked:
                continue
            if campaign_id and len(messages) > self._pages_of(campaign_id):
                deadline = min(message.first_ms for message in messages) / 1000 + self._window
                jobs.append(Job(deadline, "campaign", campaign_id))
                continue
            jobs += [Job(one.first_ms / 1000 + self._window, "message", one.message_id) for one in messages]
        # The details of a campaign have no deadline.
        self.tally.oldest_deadline = min((job.deadline for job in jobs if job.kind != "report"), default=None)
        return [job for job in jobs if self._is_due(job)]

    def _pages_of(self, campaign_id: str) -> int:
        campaign = self._known.campaigns.get(campaign_id.lower())
        return 2 + ceil((campaign.recipients if campaign else 0) / PAGE_ROWS)

    def _is_due(self, job: Job) -> bool:
        at, _ = self._pauses.get(job[1:], (0.0, 0.0))
        return job.name.lower() not in self._unknown and self._clock.monotonic() >= at

    def _note(self, job: Job) -> None:
        _, pause = self._pauses.get(job[1:], (0.0, _FIRST_PAUSE_SECONDS / 2))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        self._pauses[job[1:]] = (self._clock.monotonic() + pause, pause)

    def _restore(self, job: Job, pause: tuple[float, float] | None) -> None:
        """Forget that a job was begun: its answer did not come, or was not stored."""
        if pause is None:
            self._pauses.pop(job[1:], None)
        else:
            self._pauses[job[1:]] = pause

    def _open_window(self) -> tuple[float, float]:
        """Return the range of time that Routee tells, a little shorter because clocks differ."""
        now = self._clock.wall()
        return now - self._window + _MARGIN_SECONDS, now

    async def _take(self, rows: Iterable[Any], campaign_id: str | None = None) -> None:
        """Store the SMS of these tracking objects that tell something new."""
        news, kinds = [], Counter[str]()
        for row in rows:
            found = tracked(row, campaign_id)
            if isinstance(found, str):
                self.tally.unreadable[found] += 1
            elif (healed := self._known.healing(found)) is not None:
                named = self._with_campaign(found)
                if named is None:
                    continue
                kinds[healed] += 1
                news.append(named)
        if self._filling is not None:
            await self._filling.store([(named.message_id, named.body) for named in news])
        # Only now: an SMS that was not stored must be news in the next round.
        self.tally.healed.update(kinds)
        for named in news:
            self._known.note(named, int(self._clock.wall() * 1000))

    def _with_campaign(self, found: Tracked) -> Tracked | None:
        """
        Return an SMS with the id of its campaign, None when it names a campaign and nothing tells the id.

        Without the id it would become a single SMS. It is left out, and the campaigns of its name are asked for: their
        lists tell their ids.
        """
        if found.campaign_id is not None or found.campaign_name is None:
            return found
        known = self._known.campaign_of(found.message_id)
        if known is not None:
            return with_campaign(found, known)
        self.tally.nameless += 1
        self._campaigns_of_names.update(self._known.named(found.campaign_name))
        return None

    def _tell_unknown(self, kind: str, name: str) -> None:
        if name.lower() not in self._unknown:
            self._unknown.add(name.lower())
            self.tally.unknown += 1
            logger.warning("%s %s is unknown at Routee: it is not asked for again", kind, name)

    def _tell_missing(self, missing: int, name: str) -> None:
        if missing:
            self.tally.incomplete += 1
            logger.warning("%s: %d of its SMS did not come in five passes, the others did", name, missing)


def _tell_left(job: Job, error: IngestError) -> None:
    logger.warning("%s %s is left for later: %s", job.kind, job.name, error)
