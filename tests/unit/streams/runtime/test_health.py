"""StuckWatch notices a partition that has lag and does not move."""

from streams.health import Place, StuckWatch

PLACE = ("sms", 3)


def watched(*seen: tuple[int, int, float]) -> list[Place]:
    """Return the stuck partitions after observations of (durable offset, lag, time)."""
    watch = StuckWatch(seconds=60)
    for durable, lag, now in seen:
        watch.observe({PLACE: durable}, {PLACE: lag}, now)
    return watch.stuck()


def test_a_partition_that_stands_with_work_is_stuck_after_a_while() -> None:
    assert watched((5, 9, 0.0), (5, 9, 30.0)) == []
    assert watched((5, 9, 0.0), (5, 9, 61.0)) == [PLACE]


def test_a_partition_that_moves_is_not_stuck_however_far_behind() -> None:
    assert watched((5, 9000, 0.0), (6, 9000, 61.0), (7, 9000, 122.0)) == []


def test_a_partition_without_work_may_stand() -> None:
    assert watched((5, 0, 0.0), (5, 0, 100.0)) == []


def test_the_wait_begins_when_there_is_work() -> None:
    assert watched((5, 0, 0.0), (5, 0, 100.0), (5, 1, 101.0), (5, 1, 150.0)) == []


def test_an_excused_partition_is_stuck_again_after_another_wait() -> None:
    watch = StuckWatch(seconds=60)
    for now in (0.0, 61.0):
        watch.observe({PLACE: 5}, {PLACE: 9}, now)
    watch.excuse(PLACE)
    watch.observe({PLACE: 5}, {PLACE: 9}, 100.0)
    assert watch.stuck() == []
    watch.observe({PLACE: 5}, {PLACE: 9}, 122.0)
    assert watch.stuck() == [PLACE]


def test_a_revoked_partition_is_forgotten() -> None:
    watch = StuckWatch(seconds=60)
    watch.observe({PLACE: 5}, {PLACE: 9}, 0.0)
    watch.observe({}, {}, 50.0)
    watch.observe({PLACE: 5}, {PLACE: 9}, 70.0)
    assert watch.stuck() == []


def test_a_partition_that_was_never_fetched_may_have_work() -> None:
    watch = StuckWatch(seconds=60)
    for now in (0.0, 61.0):
        watch.observe({PLACE: 5}, {}, now)
    assert watch.stuck() == [PLACE]
