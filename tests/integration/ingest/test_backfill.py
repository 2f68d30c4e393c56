"""
The backfill against the emulated pull API, with the rules of streams in memory: lost statuses come back, once.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from itertools import pairwise
from math import inf
from random import Random
from typing import Any, Final

import pytest
from aiohttp import ClientSession, web

from ingest.backfill.client import Routee
from ingest.backfill.errors import AllowListError, CredentialsError, NoAnswerError, WrongUrlError
from ingest.backfill.filling import Filling
from ingest.backfill.known import Known
from ingest.backfill.rounds import Backfill, Job
from ingest.backfill.settings import BackfillSettings
from ingest.callback.envelope import RawRecord, seal
from ingest.clock import Timer
from ingest.commit.log import MemoryCommitLog
from ingest.errors import NotStoredError
from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.options import APPLICATION_ID, APPLICATION_SECRET, DateMeaning, PullOptions, Trouble
from sandbox.emulator.pull.server import PullApi
from sandbox.emulator.traffic.bodies import iso
from sandbox.emulator.traffic.model import Callback, Malformed, Status, StatusCallback, Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.reports import roll_up
from sandbox.emulator.traffic.schedule import schedule
from sandbox.ports import free_port
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, Topic
from streams.program.settings import load_settings
from tests.unit.streams.domain.pipeline import Pipeline

START: Final = 1_795_000_000
NOW: Final = START + 2 * 86_400.0
PARTITIONS: Final = 4
RATE: Final = 2.0
ANOTHER_SECRET: Final = "not-the-secret"  # noqa: S105 - made up here
TRAFFIC: Final = TrafficOptions(
    11, "http://routee.example/x", campaigns=2, recipients=60, singles=40, multipart=0.2, conflicts=0, malformed=0,
    legacy=0.1, strategies=(Strategy.ON_CHANGE, Strategy.ON_COMPLETION),
)  # fmt: skip
OUTAGE: Final = (40.0, 120.0)
LARGE: Final = replace(TRAFFIC, campaigns=120, recipients=590, singles=1200)
"""100,000 SMS in half an hour of Routee's time."""
LARGE_OUTAGE: Final = (600.0, 1200.0)


class QuickClock:
    """A clock that a sleep moves at once."""

    def __init__(self, wall: float = NOW) -> None:
        self.passed = 1000.0
        self._wall = wall - self.passed

    def monotonic(self) -> float:
        return self.passed

    def wall(self) -> float:
        return self._wall + self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds
        await asyncio.sleep(0)

    def call_later(self, seconds: float, callback: Any) -> Timer:  # noqa: ANN401
        raise NotImplementedError


@dataclass
class World:
    """Routee, the rules of streams, and a backfill between them."""

    api: PullApi
    books: Books
    pipeline: Pipeline
    clock: QuickClock
    routee: Routee
    log: MemoryCommitLog

    def backfill(self, *, dry: bool = False) -> tuple[Backfill, Filling]:
        """Return a backfill that knows what streams has told so far."""
        known = Known()
        for record in self.pipeline.revisions:
            known.take_sms(record)
        for record in self.pipeline.of("campaign.progress"):
            known.take_campaign(record)
        filling = Filling(self.log, PARTITIONS, self.clock)
        return Backfill(self.routee, known, None if dry else filling, 7 * 86_400.0, self.clock), filling

    async def heal(self) -> tuple[Backfill, Filling]:
        """Do the work of two hours of a watching backfill; streams takes in the stored callbacks."""
        backfill, filling = self.backfill()
        await backfill.sweep(self.clock.wall())
        await backfill.round(0)
        self.settle()
        return backfill, filling

    def settle(self) -> None:
        """Let streams take in the stored callbacks."""
        for partition in range(PARTITIONS):
            for record in self.log.records.pop((CALLBACKS_RAW.suffix, partition), []):
                self.pipeline.take_in(partition, len(self.pipeline.log), record.value)
        self.pipeline.settle()

    def post(self, callbacks: Iterator[Callback]) -> None:
        """Let streams take in callbacks, each in an envelope of its own."""
        latest = float(START)
        for callback in callbacks:
            subject = callback.subject
            # A report has no date of its own; it comes with the statuses around it.
            at = latest = subject.change.at if isinstance(subject, StatusCallback) else latest
            assert not isinstance(subject, Malformed)
            key = subject.message.message_id if isinstance(subject, StatusCallback) else subject.campaign.tracking_id
            value = seal([callback.body], [key], int(at * 1000) + 500).value
            self.pipeline.take_in(partition_of(key, PARTITIONS), len(self.pipeline.log), value)
        self.pipeline.settle()


@asynccontextmanager
async def world(
    traffic: TrafficOptions = TRAFFIC,
    start: int = START,
    **options: Any,  # noqa: ANN401
) -> AsyncIterator[World]:
    """Give a world two days after the start of its traffic."""
    books, clock = Books(traffic, start), QuickClock(start + NOW - START)
    books.end()
    api = PullApi(books, PullOptions(slow_seconds=0.05, **options), seed=5, clock=clock.wall)
    await api.start()
    try:
        async with ClientSession() as session:
            routee = Routee(settings(api.url), session, clock)
            yield World(api, books, Pipeline(), clock, routee, MemoryCommitLog())
    finally:
        await api.close()


def settings(url: str, **given: Any) -> BackfillSettings:  # noqa: ANN401
    told: dict[str, Any] = {
        "routee_application_id": APPLICATION_ID, "routee_application_secret": APPLICATION_SECRET,
        "routee_api_url": url, "routee_auth_url": url, "kafka_partitions": PARTITIONS,
    }  # fmt: skip
    return load_settings(BackfillSettings, env_file=None, **(told | given))


def with_losses(
    traffic: TrafficOptions = TRAFFIC, start: int = START, outage: tuple[float, float] = OUTAGE
) -> Iterator[Callback]:
    """Yield the callbacks that come through: one in twenty is swallowed, and all of an outage."""
    random = Random(3)  # noqa: S311 - repeatable on purpose
    for callback in schedule(traffic, start):
        subject = callback.subject
        at = subject.change.at if isinstance(subject, StatusCallback) else None
        if random.random() < 0.05 or (at is not None and outage[0] <= at - start < outage[1]):
            continue
        yield callback


def truth(books: Books) -> dict[str, dict[str, Any]]:
    """Return each SMS as it really is, by its smsId."""
    return {
        entry.part.sms_id: {
            "message_id": entry.message.message_id,
            "status": entry.change.status.value,
            "status_updated_at": iso(entry.change.updated_at).replace("Z", ".000Z"),
            "campaign_tracking_id": entry.message.campaign and entry.message.campaign.tracking_id,
            "campaign_name": entry.message.campaign and entry.message.campaign.name,
            "recipient": entry.message.recipient,
            "message": None if entry.message.occasion.service == "TwoStep" else entry.message.text,
            "price": f"{entry.change.price:.8f}".rstrip("0").rstrip(".") or "0",
            "latency_seconds": entry.change.latency,
        }
        for entry in books.between(0, inf, DateMeaning.STATUS)
    }


def shown(pipeline: Pipeline, wanted: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each SMS as streams shows it, by its smsId; one without an smsId is alone in its message."""
    fields = next(iter(wanted.values())).keys()
    of_message = {values["message_id"]: sms_id for sms_id, values in wanted.items()}
    found = {}
    for record in pipeline.revisions:
        values = {name: record[name] for name in fields}
        values["price"] = None if record["price"] is None else str(record["price"]).rstrip("0").rstrip(".") or "0"
        found[record["sms_id"] or of_message[record["message_id"]]] = values
    return found


def assert_healed(at: World) -> None:
    """Every SMS is as Routee has it, and every campaign has Routee's counts."""
    wanted = truth(at.books)
    found = shown(at.pipeline, wanted)
    assert found.keys() == wanted.keys()
    assert {key: found[key] for key in wanted if found[key] != wanted[key]} == {}
    newest = {record["campaign_tracking_id"]: record for record in at.pipeline.of("campaign.progress")}
    for campaign, record in newest.items():
        known = at.books.campaign(campaign)
        assert known is not None
        counts = {word: count for word, count in at.books.report(known).counts.items() if count}
        assert record["messages_by_status"] == counts
        assert (record["campaign_status"], record["reconciliation"]) == ("Finished", "consistent")
    assert not at.pipeline.rejections


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dates": DateMeaning.CREATED},
        {"campaign_ids": False},
        {"old_form": True, "dates": DateMeaning.CREATED},
        {"troubles": 0.2, "moves": 3},
    ],
    ids=str,
)
async def test_lost_statuses_come_back_once(options: dict[str, Any]) -> None:
    """Swallowed callbacks and an outage: every value is the truth, and a second run stores nothing."""
    async with world(**options) as at:
        at.post(with_losses())
        before = shown(at.pipeline, truth(at.books))
        assert before != truth(at.books)
        backfill, filling = await at.heal()
        assert filling.stored > 20
        assert backfill.tally.healed["missing"] > 5
        assert backfill.tally.healed["final"] > 5
        assert_healed(at)
        assert {record["source"] for record in at.pipeline.revisions} == {"callback", "pull"}
        _, again = await at.heal()
        assert again.stored == 0


async def test_all_callbacks_of_both_strategies_are_nothing_new() -> None:
    """Without a loss nothing is stored."""
    async with world() as at:
        at.post(callback for callback in schedule(TRAFFIC, START))
        _, filling = await at.heal()
        assert filling.stored == 0


async def test_what_kafka_did_not_take_is_stored_in_the_next_round() -> None:
    """A minute without Kafka ends a round; nothing of it counts as stored."""
    async with world() as at:
        at.post(with_losses())
        backfill, filling = at.backfill()
        at.log.failing = True
        with pytest.raises(NotStoredError):
            await backfill.time_range(START, NOW)
        at.log.failing = False
        await backfill.time_range(START, NOW)
        await backfill.round(0)
        at.settle()
        assert filling.stored > 20
        assert_healed(at)


class KilledError(BaseException):
    """The process is gone."""


class MortalLog(MemoryCommitLog):
    """A log whose writer is killed right after an append was acknowledged; `left` counts the appends until then."""

    left = 0

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        await super().append(topic, records, partition)
        self.left -= 1
        if self.left == 0:
            raise KilledError


@pytest.mark.parametrize(
    ("traffic", "outage"),
    [
        pytest.param(TRAFFIC, OUTAGE, id="200-sms"),
        pytest.param(LARGE, LARGE_OUTAGE, id="100,000-sms", marks=[pytest.mark.full, pytest.mark.timeout(3_600)]),
    ],
)
async def test_kills_of_the_backfill_cost_nothing_and_count_nothing_twice(
    traffic: TrafficOptions, outage: tuple[float, float]
) -> None:
    """Twenty backfills are killed between two appends, and streams has taken in none, some or all of them by then."""
    async with world(traffic) as at:
        at.post(with_losses(traffic, outage=outage))
        at.log = log = MortalLog()
        for kill in range(20):
            backfill, _ = at.backfill()
            log.left = kill % 4 + 1
            with suppress(KilledError):
                await backfill.sweep(NOW)
            if kill % 3 == 2:
                at.settle()
        log.left = 0
        await at.heal()
        assert_healed(at)
        _, again = await at.heal()
        assert again.stored == 0


async def test_never_above_the_set_rate() -> None:
    """Two requests begin half a second apart at least, also when answers go wrong; 429 makes all of them wait."""
    async with world(troubles=0.3) as at:
        at.post(with_losses())
        moments: list[float] = []
        turn = at.routee._pace.turn

        async def noted() -> None:
            await turn()
            moments.append(at.clock.monotonic())

        at.routee._pace.turn = noted  # type: ignore[method-assign]
        await at.heal()
        assert len(moments) == at.routee.asked > 5
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert min(gaps) >= 1 / RATE - 1e-9


async def test_an_id_that_routee_does_not_know_is_asked_for_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, too."""
    async with world() as at:
        backfill, _ = at.backfill()
        await backfill.run([Job(0, "message", "nothing"), Job(0, "campaign", "no-campaign")])
        assert backfill.tally.unknown == 2
        assert [record.getMessage() for record in caplog.records].count(
            "message nothing is unknown at Routee: it is not asked for again"
        ) == 1
        assert not backfill._is_due(Job(0, "message", "NOTHING"))


async def test_what_routee_does_not_tell_any_more_is_counted_with_its_price() -> None:
    """After the window nothing is asked for."""
    async with world() as at:
        at.post(callback for callback in schedule(TRAFFIC, START) if is_not_final(callback))
        at.clock.passed += 8 * 86_400
        backfill, _ = at.backfill()
        await backfill.round(0)
        assert at.routee.asked == 0
        assert backfill.tally.gone > 0
        assert backfill.tally.gone_price > 0
        assert backfill.tally.unsettled == 0


def is_not_final(callback: Callback) -> bool:
    return isinstance(callback.subject, StatusCallback) and not callback.subject.change.status.is_final


async def test_a_dry_run_stores_nothing_and_says_what_it_would() -> None:
    """Its numbers are those of the run after it."""
    async with world() as at:
        at.post(with_losses())
        dry, _ = at.backfill(dry=True)
        await dry.time_range(START, NOW)
        assert not at.log.records
        wet, _ = at.backfill()
        await wet.time_range(START, NOW)
        assert dry.tally.healed == wet.tally.healed


async def test_a_large_campaign_does_not_keep_the_others_waiting() -> None:
    """Jobs take turns at the requests: the message that is asked for with a long campaign is there before its end."""
    traffic = replace(TRAFFIC, campaigns=1, recipients=9000, singles=1, multipart=0)
    async with world(traffic) as at:
        backfill, _ = at.backfill()
        single = next(entry for entry in at.books.between(0, inf, DateMeaning.STATUS) if not entry.message.campaign)
        campaign = next(entry for entry in at.books.between(0, inf, DateMeaning.STATUS) if entry.message.campaign)
        order: list[str] = []
        ask = at.routee._ask

        async def noted(method: str, path: str, *more: Any, **named: Any) -> Any:  # noqa: ANN401
            order.append(path)
            return await ask(method, path, *more, **named)

        at.routee._ask = noted  # type: ignore[method-assign]
        assert campaign.message.campaign
        jobs = [Job(0, "campaign", campaign.message.campaign.tracking_id), Job(1, "message", single.message.message_id)]
        await backfill.run(jobs)
        assert "single" in " ".join(order[:3])
        assert len(order) >= 6


async def test_the_token_is_renewed_before_its_end_and_once_after_a_refusal() -> None:
    """A running token that is handed out again counts with the seconds that it has left."""
    async with world(token_seconds=600) as at:
        await at.routee.reach()
        at.clock.passed += 400
        await at.routee.log_in()
        at.clock.passed += 150
        await at.routee.message("x")
        assert at.api.asked["/oauth/token"] == 3
        at.api.revoke_token()
        await at.routee.message("x")
        assert at.api.asked["/oauth/token"] == 4


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_one_bad_answer_costs_nothing(trouble: Trouble) -> None:
    """Each kind, once: the request is repeated."""
    async with world() as at:
        await at.routee.log_in()
        at.api.troubles.append(trouble)
        page = await at.routee.range_page(START, NOW, 0)
        assert page is not None
        assert page.total > 100


async def test_an_address_that_is_not_admitted_is_named() -> None:
    """A new token did not help."""
    async with world(allowed=False) as at:
        with pytest.raises(AllowListError, match="allow-list"):
            await at.routee.reach()
        assert at.api.asked["/oauth/token"] == 2


async def test_wrong_credentials_and_urls_are_named() -> None:
    """Each by its settings, without the secret."""
    async with world() as at, ClientSession() as session:
        wrong = Routee(settings(at.api.url, routee_application_secret=ANOTHER_SECRET), session, at.clock)
        with pytest.raises(CredentialsError, match="ROUTEE_APPLICATION_SECRET") as error:
            await wrong.reach()
        assert ANOTHER_SECRET not in str(error.value)
        nowhere = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(WrongUrlError, match="ROUTEE_AUTH_URL"):
            await Routee(settings(at.api.url, routee_auth_url=nowhere), session, at.clock).reach()
        with pytest.raises(WrongUrlError, match="ROUTEE_API_URL"):
            await Routee(settings(at.api.url, routee_api_url=nowhere), session, at.clock).reach()
        with pytest.raises(WrongUrlError, match="ROUTEE_API_URL"):
            await Routee(settings(at.api.url, routee_api_url=f"{at.api.url}/v2"), session, at.clock).reach()


async def command(url: str, *options: str, **environment: str) -> tuple[int | None, list[str]]:
    """Run the command; return its exit code and the lines that it said."""
    told = {
        "ROUTEE_APPLICATION_ID": APPLICATION_ID, "ROUTEE_APPLICATION_SECRET": APPLICATION_SECRET,
        "ROUTEE_API_URL": url, "ROUTEE_AUTH_URL": url, "LOG_FORMAT": "text",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingest", "backfill", *options, env={**os.environ, **told, **environment},
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, said = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, (out + said).decode().splitlines()


async def test_the_command_ends_with_one_line() -> None:
    """Wrong credentials, a wrong URL, an address that is not admitted: exit code 1; missing settings: 2."""
    async with world(allowed=False) as at:
        for environment, word in (
            ({"ROUTEE_APPLICATION_SECRET": ANOTHER_SECRET}, "ROUTEE_APPLICATION_SECRET"),
            ({"ROUTEE_AUTH_URL": f"http://127.0.0.1:{free_port()}"}, "ROUTEE_AUTH_URL"),
            ({}, "allow-list"),
        ):
            code, lines = await command(at.api.url, **environment)
            assert (code, len(lines)) == (1, 1), lines
            assert word in lines[0]
            assert "secret" not in lines[0].lower().replace("routee_application_secret", "").replace("and secret", "")
        code, lines = await command(at.api.url, ROUTEE_APPLICATION_ID="", ROUTEE_API_URL="routee")
        assert code == 2
        assert [line.split(":")[0].split("=")[0] for line in lines] == ["ROUTEE_APPLICATION_ID", "ROUTEE_API_URL"]
        code, lines = await command(at.api.url, "--watch", "--message", "x")
        assert code == 2


async def test_a_page_of_another_server_is_no_api() -> None:
    """A web page with 200 is named as a wrong URL."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", page)
    async with client_of(application, QuickClock()) as routee:
        with pytest.raises(WrongUrlError, match="ROUTEE_AUTH_URL"):
            await routee.reach()


@asynccontextmanager
async def client_of(application: web.Application, clock: QuickClock) -> AsyncIterator[Routee]:
    """Give a client of a server that stands for Routee's API."""
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as session:
            yield Routee(settings(url), session, clock)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[tuple[Routee, QuickClock, list[float]]]:
    """Give a client of a server with these answers to requests for messages, in turn; and when each was asked for."""
    clock, waiting, asked = QuickClock(), [*answers], list[float]()

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 86_400})

    async def message(_: web.Request) -> web.Response:
        asked.append(clock.monotonic())
        return waiting.pop(0) if waiting else web.json_response([])

    application = web.Application()
    application.router.add_post("/oauth/token", token)
    application.router.add_get("/sms/tracking/single/{id}", message)
    async with client_of(application, clock) as routee:
        yield routee, clock, asked


def busy(retry_after: str) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": retry_after})


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("90", 90), ("0", 1), ("soon", 1), (formatdate(NOW + 120, usegmt=True), 119), (formatdate(NOW - 9), 1)],
)
async def test_a_pause_that_routee_asks_for_is_kept(retry_after: str, seconds: int) -> None:
    """As a number of seconds or as a date; without one that can be read, our own pause."""
    async with answering(busy(retry_after)) as (routee, _, asked):
        assert await routee.message("x") == []
        first, second = asked
        assert seconds <= second - first <= seconds + 1


async def test_no_request_begins_in_a_long_pause_and_none_waits_for_its_end() -> None:
    """A round that waited for an hour would look as if it got on."""
    async with answering(busy("3600")) as (routee, clock, asked):
        for passing in (0, 1000, 2000):
            clock.passed += passing
            with pytest.raises(NoAnswerError, match="asks not to be asked"):
                await routee.message("x")
        assert len(asked) == 1
        clock.passed += 600
        assert await routee.message("x") == []
        assert len(asked) == 2


async def test_an_answer_that_is_no_json_is_asked_for_again_once_routee_was_there() -> None:
    """A page of maintenance, or half an answer, does not mean that the URL is wrong."""
    half, page = web.Response(text='[{"messageId": "m'), web.Response(text="<html>", content_type="text/html")
    async with answering(web.json_response([]), half, page) as (routee, _, asked):
        await routee.message("x")
        assert await routee.message("x") == []
        assert len(asked) == 4
    async with answering(web.Response(text="[")) as (routee, _, _):
        with pytest.raises(WrongUrlError, match="none of Routee's API"):
            await routee.message("x")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """The token is for the API that the settings name."""
    elsewhere = web.Response(status=status, headers={"Location": "/sms/tracking/single/elsewhere"})
    async with answering(elsewhere) as (routee, _, asked):
        with pytest.raises(WrongUrlError, match=rf"the answer \({status}\)"):
            await routee.message("x")
        assert len(asked) == 1


def test_the_emulated_counts_are_those_of_messages() -> None:
    """A check of the test itself: the truth about a campaign follows from the truth about its SMS."""
    books = Books(TRAFFIC, START)
    books.end()
    parts: dict[str, list[Status]] = {}
    for entry in books.between(0, inf, DateMeaning.STATUS):
        if entry.message.campaign:
            parts.setdefault(entry.message.message_id, []).append(entry.change.status)
    assert sum(Counter(roll_up(statuses) for statuses in parts.values()).values()) == 120
