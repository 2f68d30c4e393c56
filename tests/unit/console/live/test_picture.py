"""
The picture of the live state, and the news of it.
"""

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from console.live.news import ALL_CAMPAIGNS, News, Subject
from console.live.picture import Picture
from console.live.routes import live_routes
from console.pages.campaigns import words_of
from console.records import ALARMS, CAMPAIGNS, CELLS, Alarm, Campaign, Cell
from streams.contract.records import PUBLIC_RECORDS
from tests.support.markdown import ROOT
from tests.support.wait import eventually_async

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EXAMPLES = ROOT / "streams" / "contract" / "examples" / "records"


def at(seconds: float) -> str:
    return f"{NOW + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.000Z}"


def campaign(key: str, revision: int, delivered: int = 0, **more: Any) -> Campaign:  # noqa: ANN401 - its fields
    counts = {"Delivered": delivered, "Sent": 10 - delivered}
    return Campaign(key, revision, at(revision), at(0), messages=10, messages_by_status=counts, **more)


def test_every_example_of_the_contract_is_read() -> None:
    for suffix, decoder in (("campaign.progress", CAMPAIGNS), ("delivery.windows", CELLS), ("delivery.alarms", ALARMS)):
        for record in orjson.loads((EXAMPLES / f"{suffix}.json").read_bytes()):
            decoder.decode(orjson.dumps(record))


@pytest.mark.parametrize(
    ("suffix", "model"), [("campaign.progress", Campaign), ("delivery.windows", Cell), ("delivery.alarms", Alarm)]
)
def test_the_console_asks_for_fields_of_the_contract_only(suffix: str, model: type) -> None:
    assert set(model.__struct_fields__) <= set(PUBLIC_RECORDS[suffix].model_fields)  # type: ignore[attr-defined]


def test_the_newest_state_stands_in_any_order() -> None:
    states = [campaign("a", 1), campaign("a", 3, 5), campaign("a", 2, 2), campaign("a", 1, 1, generation=1)]
    for order in itertools.permutations(states):
        picture = Picture()
        for state in order:
            picture.take_campaign(state)
        assert picture.campaigns["a"] is states[3]


def test_running_are_the_campaigns_that_are_not_final_and_were_heard_of() -> None:
    picture = Picture()
    for state in (campaign("a", 1), campaign("b", 2, is_final=True)):
        picture.take_campaign(state)
    assert [one.campaign_tracking_id for one in picture.running(NOW)] == ["a"]
    assert picture.running(NOW + timedelta(days=3)) == []


def test_old_state_is_let_go() -> None:
    picture = Picture()
    picture.take_campaign(campaign("a", 1))
    picture.take_cell(Cell("1:[]", at(0), 1))
    picture.forget(NOW + timedelta(hours=1))
    assert picture.campaigns
    assert picture.cells
    picture.forget(NOW + timedelta(days=3))
    kept = [*picture.campaigns, *picture.cells, *picture.curves, *picture.changed_since(0)]
    assert kept == []


def test_an_alarm_is_let_go_a_month_after_it_closed() -> None:
    picture = Picture()
    picture.take_alarm(Alarm("closed", "silence", at(0), at(0), 1, closed_at=at(10)))
    picture.take_alarm(Alarm("open", "silence", at(0), at(0), 1, is_open=True))
    picture.forget(NOW + timedelta(days=31))
    assert [*picture.alarms] == ["closed", "open"]
    picture.forget(NOW + timedelta(days=31, seconds=11))
    assert [*picture.alarms] == ["open"]


def test_the_last_changes_come_first_also_within_a_tick() -> None:
    picture = Picture()
    for key in "abc":
        picture.take_campaign(campaign(key, 1))
    picture.tick += 1
    for state in (campaign("b", 2), campaign("a", 2)):
        picture.take_campaign(state)
    assert [one.campaign_tracking_id for one in picture.changed_since(0)] == ["a", "b", "c"]
    assert [one.campaign_tracking_id for one in picture.changed_since(1)] == ["a", "b"]


def test_a_curve_stays_short_and_keeps_reports_and_its_end() -> None:
    picture = Picture()
    for revision in range(1, 3000):
        report = {"Delivered": revision} if revision in {50, 2500} else None
        picture.take_campaign(campaign("a", revision, revision % 10, reported_by_status=report))
    curve = picture.curves["a"]
    assert len(curve) <= 401
    assert [point.reported for point in curve if point.reported is not None] == [50, 2500]
    assert curve[-1].at == NOW + timedelta(seconds=2999)


async def unknown(_: str) -> None:
    """Know no message."""


async def first(news: News, last: str | None, subject: Subject = ALL_CAMPAIGNS, events: int = 3) -> str:
    """Return the beginning of a stream: its retry, and as many events as there are at once."""
    stream = news.stream(last, subject)
    told = [await anext(stream) for _ in range(events - 1)]
    await stream.aclose()  # type: ignore[attr-defined]
    return b"".join(told).decode()


async def test_a_viewer_who_comes_back_is_told_of_all_that_changed_since_and_of_nothing_else() -> None:
    picture = Picture()
    news = News(picture, words_of, unknown)
    picture.take_campaign(campaign("a", 1))
    picture.take_campaign(campaign("b", 1))
    news.tick()
    mark = news.mark()
    picture.take_campaign(campaign("b", 2, 4))
    news.tick()
    told = await first(news, mark)
    assert '"id":"b"' in told
    assert '"id":"a"' not in told
    assert f"id: {news.mark()}" in told


@pytest.mark.parametrize("last", [None, "", "0000-5", "x", "-", "0000-99999999999999999999999999", "0000-²"])
async def test_a_viewer_of_another_run_is_told_everything(last: str | None) -> None:
    picture = Picture()
    news = News(picture, words_of, unknown)
    picture.take_campaign(campaign("a", 1))
    news.tick()
    assert '"id":"a"' in await first(news, last)


async def test_a_viewer_of_one_campaign_is_told_of_that_one() -> None:
    picture = Picture()
    news = News(picture, words_of, unknown)
    for key in "ab":
        picture.take_campaign(campaign(key, 1))
    news.tick()
    told = await first(news, None, Subject(campaign="a"))
    assert '"id":"a"' in told
    assert '"id":"b"' not in told


async def test_a_message_is_made_once_for_all_viewers() -> None:
    picture, made = Picture(), list[Campaign]()

    def tell(one: Campaign) -> dict[str, object]:
        made.append(one)
        return words_of(one)

    news = News(picture, tell, unknown)
    picture.take_campaign(campaign("a", 1))
    news.tick()
    for _ in range(20):
        await first(news, None)
    assert len(made) == 1


async def test_a_stream_ends_when_the_console_does_and_is_counted() -> None:
    news = News(Picture(), words_of, unknown)
    reading = asyncio.create_task(_all(news))
    await eventually_async(lambda: news.viewers == 1)
    news.close()
    await asyncio.wait_for(reading, 5)
    assert news.viewers == 0


async def _all(news: News) -> list[bytes]:
    return [event async for event in news.stream(None)]


def test_words_of_a_campaign_add_up_also_with_statuses_that_are_not_known() -> None:
    for seed in range(50):
        draw = random.Random(seed)  # noqa: S311 - the same draw for the same seed
        counts = {name: draw.randint(0, 9) for name in ("Delivered", "Failed", "Parked", "</b>", "Queued", "Sent")}
        state = Campaign("a", 1, at(1), at(0), messages=sum(counts.values()), messages_by_status=counts)
        told = words_of(state)
        assert sum(told["counts"].values()) == state.messages  # type: ignore[attr-defined]
        assert "</b>" not in orjson.dumps(told).decode()


def cell(minutes_ago: float, parts: int, **latencies: int) -> Cell:
    delivered = {name.removeprefix("s"): number for name, number in latencies.items()}
    return Cell(
        f"{minutes_ago}",
        at(-60 * minutes_ago),
        1,
        country="GR",
        operator="A",
        parts=parts,
        delivered_by_latency=delivered,
    )


def test_live_routes_are_judged_by_the_windows_that_are_old_enough() -> None:
    cells = [cell(20, 100, s30=80, s600=10), cell(3, 50, s30=5), cell(50, 10, s5=10), cell(90, 1000, s5=1000)]
    (row,) = live_routes(cells, NOW)
    assert (row["sms"], row["judged"], row["soon"]) == (160, 100, 80)
    assert sum(row["within"]) == 105
    assert live_routes(cells, NOW, country="DE") == []
    assert live_routes(cells, NOW, sender="Shop") == []


def test_a_cell_is_kept_for_three_hours() -> None:
    picture = Picture()
    picture.take_cell(Cell("1:[]", at(0), 1))
    picture.forget(NOW + timedelta(hours=2.9))
    assert [*picture.cells] == ["1:[]"]
    picture.forget(NOW + timedelta(hours=3.1))
    assert picture.cells == {}


def test_of_too_many_the_oldest_are_let_go() -> None:
    picture = Picture()
    for number in range(20_001):
        picture.take_campaign(campaign(str(number), 1))
    for number in range(100_001):
        picture.take_cell(Cell(str(number), at(0), 1))
    picture.forget(NOW)
    assert (len(picture.campaigns), len(picture.cells)) == (20_000, 100_000)
    assert not {"0"} & {*picture.campaigns, *picture.curves, *picture.cells}


def test_a_muted_alarm_is_not_told_as_open() -> None:
    picture = Picture()
    picture.take_alarm(Alarm("told", "silence", at(0), at(0), 1, is_open=True, level="alarm"))
    picture.take_alarm(Alarm("muted", "silence", at(0), at(0), 1, is_open=True, level="alarm", muted_until=at(9)))
    assert [one.alarm for one in picture.open_alarms] == ["told"]


def test_an_alarm_that_is_read_again_is_no_news() -> None:
    picture = Picture()
    picture.take_alarm(Alarm("a", "silence", at(0), at(0), 1, is_open=True))
    before, picture.tick = picture.tick, 5
    picture.take_alarm(Alarm("a", "silence", at(0), at(0), 1, is_open=True))
    assert not picture.alarms_changed_since(before)
