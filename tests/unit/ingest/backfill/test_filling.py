"""Storing pulled callbacks, and the pace of the requests."""

import orjson
import pytest

from ingest.backfill.filling import Filling
from ingest.backfill.pace import Pace
from ingest.commit.log import MemoryCommitLog
from ingest.errors import NotStoredError
from tests.support.clock import FakeClock


class QuickClock(FakeClock):
    """A clock that sleeps in no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


async def test_storing_ends_after_a_minute_without_kafka() -> None:
    log, clock = MemoryCommitLog(), QuickClock()
    log.failing = True
    with pytest.raises(NotStoredError):
        await Filling(log, 1, clock).store([("a", b"{}")])
    assert clock.now == 1_000.0 + 59


async def test_an_envelope_has_500_callbacks_at_most() -> None:
    log = MemoryCommitLog()
    filling = Filling(log, 1, QuickClock())
    await filling.store([("a", b"{}")] * 1001)
    stored = [len(orjson.loads(one.value)["callbacks"]) for records in log.records.values() for one in records]
    assert (stored, filling.stored) == ([500, 500, 1], 1001)


async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    clock = QuickClock()
    pace = Pace(1.0, clock)
    pace.pause(100.0)
    pace.pause(1.0)
    await pace.turn()
    assert clock.now == 1_100.0
