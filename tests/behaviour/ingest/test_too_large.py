"""
Groups that are too large for their topic: halved, down to one callback, and each callback has its own outcome.
"""

import random
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest

from ingest.callback.envelope import RECORD_BYTES, RawRecord
from ingest.causes import Cause
from ingest.commit.lane import Lane, Outcome
from ingest.commit.log import MemoryCommitLog
from ingest.commit.publisher import Publisher, Terms
from ingest.metrics import Metrics
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Topic
from tests.support.clock import FakeClock
from tests.support.wait import eventually_async

ENVELOPE_BYTES = 60
"""The most that an envelope adds to its callbacks."""

TERMS = Terms(partitions=1, flush_seconds=0.0, ack_timeout_seconds=1.5, max_pending_bytes=64 << 20)


class CountingLog(MemoryCommitLog):
    """The log in memory, which notes the callbacks of each append, stored or not; it may hold all but the first."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.holds_all_but_the_first = False

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        self.sizes.append(len(records) if topic is CALLBACKS_REJECTED else len(callbacks(records)))
        if self.holds_all_but_the_first and len(self.sizes) > 1:
            self.hold()
        await super().append(topic, records, partition)


class Client:
    def __init__(self, number: int, said: list[int]) -> None:
        self.number = number
        self.outcomes: list[Outcome] = []
        self._said = said

    def settle(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._said.append(self.number)


class Bench:
    """A publisher with one lane; callbacks that are posted in one turn of the event loop go together."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.log = CountingLog()
        self.publisher = Publisher(self.log, Metrics(), TERMS, self.clock)
        self.said: list[int] = []

    async def answered(self, sizes: Sequence[int], *, rejections: bool = False) -> list[Outcome]:
        """Post bodies of these sizes, which go together, and return the outcome of each."""
        clients = [self.post(number, size, rejections=rejections) for number, size in enumerate(sizes)]
        await eventually_async(lambda: all(client.outcomes for client in clients))
        assert all(len(client.outcomes) == 1 for client in clients)
        return [client.outcomes[0] for client in clients]

    def post(self, number: int, size: int, *, rejections: bool = False) -> Client:
        lane = self.publisher.lane_for_rejections() if rejections else self.publisher.lane_for("key")
        assert isinstance(lane, Lane), lane
        client = Client(number, self.said)
        lane.add(body(number, size), "not-json" if rejections else "key", client, self.clock.now)
        return client

    def stored(self) -> list[int]:
        """Return the numbers of the stored callbacks, in order."""
        return [one["n"] for one in callbacks(self.log.records[CALLBACKS_RAW.suffix, 0])]


def body(number: int, size: int) -> bytes:
    """Return a callback of exactly so many bytes, if they are enough for its number."""
    text = b'{"n":%d,"x":"%s"}'
    return text % (number, b"x" * (size - len(text % (number, b""))))


def callbacks(records: Sequence[RawRecord]) -> list[dict[str, int]]:
    return [callback for record in records for callback in orjson.loads(record.value)["callbacks"]]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.publisher.start()
    yield made
    made.log.release()
    await made.publisher.stop()
    assert (made.publisher.pending.count, made.publisher.pending.size) == (0, 0)


async def test_an_envelope_that_is_too_large_is_stored_in_halves_and_in_order(bench: Bench) -> None:
    bench.log.most_bytes = 20_000
    assert await bench.answered([1_100] * 60) == [Outcome.STORED] * 60
    assert bench.stored() == bench.said == list(range(60))
    assert len(bench.log.sizes) < 60 / 3
    assert bench.publisher.trouble() is None


async def test_only_the_callback_that_fits_into_no_record_fails_and_its_cause_has_a_name(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.log.most_bytes = 10_000
    sizes = [200, 50_000] * 20
    outcomes = await bench.answered(sizes)
    assert outcomes == [Outcome.STORED, Outcome.FAILED] * 20
    assert bench.said == list(range(40))
    assert bench.stored() == list(range(0, 40, 2))
    assert bench.publisher.metrics.total("refused", Cause.TOO_LARGE_FOR_KAFKA) == 20
    assert bench.publisher.metrics.total("refused", Cause.KAFKA) == 0
    assert bench.publisher.trouble() is None, "other callbacks are stored"
    alone, *more = [line for line in caplog.messages if "it is answered 503" in line]
    assert alone == "callbacks.raw 0 does not take 1 callbacks of 50001 bytes: told to take no more; it is answered 503"
    assert more == [], "one line, not one for each callback"


async def test_a_topic_that_takes_nothing_fails_each_callback_alone_in_as_many_appends_at_most_as_halves(
    bench: Bench,
) -> None:
    bench.log.most_bytes = 0
    assert await bench.answered([500] * 64) == [Outcome.FAILED] * 64
    assert len(bench.log.sizes) <= 2 * 64
    assert bench.stored() == []


async def test_a_batch_of_rejections_is_halved_too(bench: Bench) -> None:
    bench.log.most_bytes = 5_000
    outcomes = await bench.answered([400] * 50 + [6_000] + [400] * 5, rejections=True)
    assert outcomes == [Outcome.STORED] * 50 + [Outcome.FAILED] + [Outcome.STORED] * 5
    (kept,) = [records for (name, _), records in bench.log.records.items() if name == CALLBACKS_REJECTED.suffix]
    assert len(kept) == 55
    assert bench.said == list(range(56))


async def test_small_groups_are_kept_to_for_a_minute_and_then_full_ones_are_tried_again(bench: Bench) -> None:
    bench.log.most_bytes = 20_000
    await bench.answered([1_000] * 60)
    bench.log.most_bytes = float("inf")
    bench.log.sizes.clear()
    await bench.answered([1_000] * 60)
    assert max(bench.log.sizes) < 30, "not tried at once"
    bench.clock.advance(60)
    bench.log.sizes.clear()
    await bench.answered([1_000] * 60)
    assert max(bench.log.sizes) > 55


async def test_a_full_envelope_is_halved_as_well(bench: Bench) -> None:
    """As on a topic that takes a little less than the longest record."""
    bench.log.most_bytes = RECORD_BYTES // 2
    assert await bench.answered([250_000] * 8) == [Outcome.STORED] * 8
    assert bench.stored() == list(range(8))


async def test_a_group_that_was_answered_already_is_not_sent_again(bench: Bench) -> None:
    bench.log.most_bytes = 1_000
    bench.log.hold()
    clients = [bench.post(number, 600) for number in range(2)]
    await eventually_async(lambda: bench.log.held == 1)
    late = [bench.post(number, 600) for number in range(2, 5)]  # behind the one in flight
    bench.publisher.tick(102.0)
    assert all(client.outcomes == [Outcome.FAILED] for client in (*clients, *late))
    bench.log.release()
    await eventually_async(lambda: bench.publisher.trouble() is None)
    assert await bench.answered([300]) == [Outcome.STORED]
    assert bench.stored() == [0]
    assert all(client.outcomes == [Outcome.FAILED] for client in (*clients, *late))


async def test_callbacks_that_are_put_back_expire_like_all_that_wait(bench: Bench) -> None:
    bench.log.most_bytes = 1_000
    bench.log.holds_all_but_the_first = True
    clients = [bench.post(number, 300) for number in range(4)]
    await eventually_async(lambda: bench.log.held == 1)
    bench.publisher.tick(102.0)
    assert [client.outcomes for client in clients] == [[Outcome.FAILED]] * 4
    bench.log.holds_all_but_the_first = False
    bench.log.release()
    await eventually_async(lambda: bench.publisher.metrics.total("stored_late") == 2)
    assert (bench.stored(), bench.log.sizes) == ([0, 1], [4, 2])


@pytest.mark.parametrize("seed", range(20))
async def test_callbacks_of_all_sizes_have_an_outcome_each_in_order(seed: int) -> None:
    """A callback fails when it is too large alone, and for no other reason; the others are stored once, in order."""
    dice = random.Random(seed)  # noqa: S311 - guards nothing
    bench = Bench()
    bench.publisher.start()
    for _ in range(5):
        limit = bench.log.most_bytes = dice.choice([200, 1_000, 5_000, 50_000])
        sizes = [dice.choice([30, 120, 900, 4_000, 30_000]) + dice.randrange(50) for _ in range(dice.randrange(1, 80))]
        bench.log.records.clear()
        bench.said.clear()
        outcomes = await bench.answered(sizes)
        surely = [size > limit for size in sizes]
        fits = [size + ENVELOPE_BYTES <= limit for size in sizes]
        assert all(outcome is Outcome.FAILED for outcome, yes in zip(outcomes, surely, strict=True) if yes)
        assert all(outcome is Outcome.STORED for outcome, yes in zip(outcomes, fits, strict=True) if yes)
        assert bench.said == list(range(len(sizes)))
        assert bench.stored() == [number for number, outcome in enumerate(outcomes) if outcome is Outcome.STORED]
        bench.clock.advance(dice.choice([0.0, 1.0, 61.0]))
    await bench.publisher.stop()
    assert (bench.publisher.pending.count, bench.publisher.pending.size) == (0, 0)
