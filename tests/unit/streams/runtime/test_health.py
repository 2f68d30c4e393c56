"""A partition that has lag and does not move is noticed, and the age of a lag is known."""

from types import SimpleNamespace
from typing import Any

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from streams.health import LagAges, Place, Reached, StuckWatch, date_lags

PLACE = ("sms", 3)


def watched(*seen: tuple[int, int, float]) -> list[Place]:
    """Return the stuck partitions after observations of (durable offset, lag, time)."""
    watch = StuckWatch()
    for durable, lag, now in seen:
        watch.observe({PLACE: durable}, {PLACE: lag}, now)
    return watch.stuck()


def test_a_partition_that_stands_with_work_is_stuck_after_a_while() -> None:
    assert watched((5, 9, 0.0), (5, 9, 60.0)) == []
    assert watched((5, 9, 0.0), (5, 9, 61.0)) == [PLACE]


def test_a_partition_that_moves_is_not_stuck_however_far_behind() -> None:
    assert watched((5, 9000, 0.0), (6, 9000, 61.0), (7, 9000, 122.0)) == []


def test_a_partition_without_work_may_stand() -> None:
    assert watched((5, 0, 0.0), (5, 0, 100.0)) == []


def test_the_wait_begins_when_there_is_work() -> None:
    assert watched((5, 0, 0.0), (5, 0, 100.0), (5, 1, 101.0), (5, 1, 150.0)) == []


def test_an_excused_partition_is_stuck_again_after_another_wait() -> None:
    watch = StuckWatch()
    for now in (0.0, 61.0):
        watch.observe({PLACE: 5}, {PLACE: 9}, now)
    watch.excuse(PLACE)
    watch.observe({PLACE: 5}, {PLACE: 9}, 100.0)
    assert watch.stuck() == []
    watch.observe({PLACE: 5}, {PLACE: 9}, 122.0)
    assert watch.stuck() == [PLACE]


def test_a_revoked_partition_is_forgotten() -> None:
    watch = StuckWatch()
    watch.observe({PLACE: 5}, {PLACE: 9}, 0.0)
    watch.observe({}, {}, 50.0)
    watch.observe({PLACE: 5}, {PLACE: 9}, 70.0)
    assert watch.stuck() == []


def test_a_partition_that_was_never_fetched_may_have_work() -> None:
    watch = StuckWatch()
    for now in (0.0, 61.0):
        watch.observe({PLACE: 5}, {}, now)
    assert watch.stuck() == [PLACE]


class Ages:
    """The ages of one partition's lag, second by second."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.ages = LagAges(lambda: self.now)

    def see(self, durable: int, end: int, seconds: float = 1.0) -> float:
        self.now += seconds
        self.ages.observe({PLACE: Reached(durable, end)})
        return self.ages.seconds()[PLACE]


def test_without_a_lag_its_age_is_0() -> None:
    assert Ages().see(5, 5) == 0


def test_a_lag_is_as_old_as_the_moment_without_one_at_most() -> None:
    ages = Ages()
    ages.see(5, 5)
    assert ages.see(5, 9, 3.0) == 0
    assert ages.see(5, 9, 4.0) == 4
    assert ages.see(9, 9) == 0
    assert ages.see(9, 10, 3600.0) == 0, "a quiet hour is no lag"


def test_busy_traffic_that_is_never_seen_without_a_lag_stays_young_and_is_never_looked_up() -> None:
    ages = Ages()
    for second in range(100):
        assert ages.see(second * 10, second * 10 + 5) <= 2
        assert ages.ages.due() == []


def test_a_lag_that_grows_grows_old_and_is_looked_up_every_ten_seconds() -> None:
    ages = Ages()
    looked = 0
    for second in range(60):
        ages.see(0, 10 * second + 10)
        if ages.ages.due():
            looked += 1
            ages.ages.date(PLACE, 1_000.5)
    assert ages.ages.seconds()[PLACE] == ages.now - 1_000.5
    assert looked == 5


def test_a_lag_that_was_there_at_the_start_is_dated_by_its_oldest_record_though_it_shrinks() -> None:
    ages = Ages()
    for second in range(11):
        ages.see(second * 10, 100_000)
    assert ages.ages.due() == [PLACE]
    ages.ages.date(PLACE, ages.now - 7_200)
    assert ages.ages.due() == []
    assert ages.see(200, 100_000) == 7_201
    ages.ages.date(PLACE, ages.now - 30)
    assert ages.see(300, 100_000) == 31
    assert ages.see(100_000, 100_005) < 31
    assert ages.see(100_005, 100_005) == 0


def test_a_lag_without_a_record_has_no_age() -> None:
    """The offsets that remain may be transaction markers."""
    ages = Ages()
    for _ in range(12):
        ages.see(5, 9)
    ages.ages.date(PLACE, None)
    assert ages.see(5, 9) == 1


def test_a_date_for_a_partition_that_is_gone_is_dropped() -> None:
    ages = Ages()
    ages.see(5, 9)
    ages.ages.observe({})
    ages.ages.date(PLACE, 1.0)
    assert ages.ages.seconds() == {}


async def test_an_old_lag_is_dated_by_the_record_at_its_durable_offset_also_at_a_second_try() -> None:
    ages, asked = Ages(), list[tuple[str, int, int]]()
    for _ in range(12):
        ages.see(5, 9)
    answers: list[float | None] = [None, 800.0]

    async def first_moment(source: TP, offset: int) -> float:
        asked.append((source.topic, source.partition, offset))
        if (moment := answers.pop(0)) is None:
            raise KafkaConnectionError
        return moment

    owned = SimpleNamespace(durable=5, begin=0)
    table = SimpleNamespace(name="sms", source="raw", checkpointer=SimpleNamespace(owned={3: owned}))
    app: Any = SimpleNamespace(
        checkpointed=[table], holdings=SimpleNamespace(reader=SimpleNamespace(first_moment=first_moment))
    )
    await date_lags(app, ages.ages)
    assert ages.ages.seconds()[PLACE] < 60
    await date_lags(app, ages.ages)
    assert ages.ages.seconds()[PLACE] == ages.now - 800
    await date_lags(app, ages.ages)
    assert asked == [("raw", 3, 5)] * 2
