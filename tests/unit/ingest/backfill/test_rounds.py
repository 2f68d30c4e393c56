"""
Rounds with a Routee in memory: the open window goes on, and pauses.
"""

import asyncio
from typing import Any, Final

import pytest

from ingest.backfill.client import PAGE_ROWS, Page
from ingest.backfill.command import _Watching
from ingest.backfill.errors import BadRequestError, NoAnswerError, WrongUrlError
from ingest.backfill.known import Known
from ingest.backfill.rounds import Backfill, Job
from ingest.clock import Timer
from ingest.errors import NotStoredError

WINDOW: Final = 7 * 86_400.0
NOW: Final = 1_795_000_000.0
HOUR: Final = 3600.0


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def call_later(self, seconds: float, callback: Any) -> Timer:  # noqa: ANN401
        raise NotImplementedError


class RouteeInMemory:
    """Routee with two full pages; each answer takes a minute. It refuses times before its window."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.asked: list[tuple[float, float, int]] = []
        self.trouble: Exception | None = None
        self.details: dict[str, Any] = {}
        self.is_away = False
        self.messages: list[str] = []

    async def reach(self) -> None:
        if self.is_away:
            raise NoAnswerError("away")

    async def range_page(self, begin: float, end: float, number: int, _: str | None) -> Page:
        assert NOW - WINDOW <= begin < end
        if begin < self.clock.now - WINDOW:
            raise BadRequestError("before the window")
        self.asked.append((begin, end, number))
        self.clock.now += 60
        return Page([None] * PAGE_ROWS, 2 * PAGE_ROWS)

    async def campaign(self, _: str) -> Any:  # noqa: ANN401
        return self.details

    async def message(self, message_id: str) -> list[Any]:
        self.messages.append(message_id)
        if self.trouble is not None:
            raise self.trouble
        return []


class FillingInMemory:
    """Keeps the bodies that are stored, or fails."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.trouble: Exception | None = None

    async def store(self, callbacks: list[tuple[str, bytes]]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.bodies += [body for _, body in callbacks]


def backfill() -> tuple[Backfill, RouteeInMemory, HandClock]:
    clock = HandClock()
    routee = RouteeInMemory(clock)
    made: Any = Backfill(routee, Known(0), None, WINDOW, clock)  # type: ignore[arg-type]
    return made, routee, clock


async def test_a_range_follows_the_window_while_it_is_read() -> None:
    """It takes minutes, and Routee refuses to tell older times than its window."""
    made, routee, _ = backfill()
    await made.time_range(0, NOW)
    assert len(routee.asked) == 10
    assert [begin for begin, _, _ in routee.asked] == sorted({begin for begin, _, _ in routee.asked})


async def test_a_range_that_the_window_has_left_is_not_asked_for() -> None:
    made, routee, _ = backfill()
    await made.time_range(0, NOW - WINDOW + 90)
    assert len(routee.asked) == 1


@pytest.mark.parametrize("error", [BadRequestError("no"), WrongUrlError("no"), NoAnswerError("no")])
async def test_an_error_of_routee_costs_a_watching_backfill_a_round_only(error: Exception) -> None:
    class Topics:
        async def catch_up(self) -> None:
            raise error

    class Seen:
        trouble = None

    made, _, clock = backfill()
    watching = _Watching(made, Topics(), Seen(), clock, 60.0)  # type: ignore[arg-type]
    assert not await watching._one_round(sweep=True)
    assert watching.seen.trouble == "the last round ended early: the log says why"


async def test_the_end_of_a_round_is_noted() -> None:
    """A round that never ends is seen by the age of the last one."""

    class Topics:
        async def catch_up(self) -> None:
            clock.now += HOUR

    class Seen:
        trouble: str | None = "the first round is not over"
        round_end = None

    made, _, clock = backfill()
    watching = _Watching(made, Topics(), Seen(), clock, 60.0)  # type: ignore[arg-type]
    await watching._one_round(sweep=False)
    assert (watching.seen.trouble, watching.seen.round_end) == (None, NOW + HOUR)


async def test_a_pause_grows_with_answers_and_not_while_routee_gives_none() -> None:
    """A job is not to wait for a day because Routee was away for some hours."""
    made, routee, clock = backfill()
    job = Job(0, "message", "x")
    away = NoAnswerError("away")
    for pause, routee.trouble in ((1, None), (2, None), (1, away), (1, away), (2, None)):
        await made.run([job])
        clock.now += pause * HOUR - 1
        assert not made._is_due(job)
        clock.now += 1
        assert made._is_due(job)


async def test_a_round_ends_when_routee_answers_nothing_and_goes_on_when_it_does_not_answer_some() -> None:
    """Thousands of jobs would wait for it one after the other, and the backfill would say that it gets on."""
    made, routee, _ = backfill()
    jobs = [Job(number, "message", str(number)) for number in range(50)]
    routee.trouble = NoAnswerError("away")
    await made.run(jobs)
    assert len(routee.messages) == 50
    routee.messages.clear()
    routee.is_away = True
    with pytest.raises(NoAnswerError):
        await made.run(jobs)
    assert len(routee.messages) <= 4


@pytest.mark.parametrize("answers", [0, 2])
async def test_a_job_whose_answer_is_not_stored_is_due_again_at_once(answers: int) -> None:
    """Also the ones that ran beside it, and were stopped with it."""
    made, routee, clock = backfill()
    made._filling = filling = FillingInMemory()  # type: ignore[assignment]
    jobs = [Job(0, "report", "c-1"), Job(1, "message", "x")]
    for _ in range(answers):
        await made.run(jobs)
        clock.now += 2 * HOUR
    before = dict(made._pauses)
    routee.details = {"trackingId": "c-1", "state": "Running", "statuses": {"Sent": 3}}
    filling.trouble = NotStoredError("Kafka is away")
    stopped = asyncio.Event()

    async def no_answer(_: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    routee.message = no_answer  # type: ignore[assignment, method-assign]
    with pytest.raises(NotStoredError):
        await made.run(jobs)
    assert stopped.is_set()
    assert made._pauses == before
    assert made.tally.reports == 0


async def test_an_sms_that_is_not_stored_is_not_told_as_healed() -> None:
    made, _, _ = backfill()
    made._filling = filling = FillingInMemory()  # type: ignore[assignment]
    row = {"messageId": "m-1", "smsId": "s-1", "status": {"status": "Delivered", "date": "2026-11-22T03:00:00Z"}}
    filling.trouble = NotStoredError("Kafka is away")
    with pytest.raises(NotStoredError):
        await made._take([row])
    assert made.tally.healed.total() == 0
    filling.trouble = None
    await made._take([row])
    assert made.tally.healed == {"missing": 1}


async def test_a_sweep_lets_old_pauses_go() -> None:
    made, _, clock = backfill()
    await made.run([Job(0, "message", "x")])
    clock.now += HOUR
    await made.run([Job(0, "message", "y")])
    clock.now += 24 * HOUR
    made._swept_to = clock.now
    await made.sweep(clock.now)
    assert [*made._pauses] == [("message", "y")]


async def test_a_report_that_streams_never_tells_as_it_was_is_stored_once() -> None:
    """A final number that cannot be read costs the report its numbers; one that contradicts another may not stand."""
    made, routee, _ = backfill()
    made._filling = filling = FillingInMemory()  # type: ignore[assignment]
    routee.details = {"trackingId": "c-1", "state": "Running", "statuses": {"Delivered": "1,000", "Sent": 3}}
    filling.trouble = NotStoredError("Kafka is away")
    with pytest.raises(NotStoredError):
        await made.report("c-1")
    filling.trouble = None
    for campaign_id in ("c-1", "C-1", "c-1"):
        await made.report(campaign_id)
    assert len(filling.bodies) == 1
    routee.details = {**routee.details, "statuses": {"Delivered": "1,001", "Sent": 2}}
    await made.report("c-1")
    assert len(filling.bodies) == 2
