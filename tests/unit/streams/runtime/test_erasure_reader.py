"""A worker knows all erasures, or it says that it does not know them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from streams.contract.codec import encode
from streams.domain.erasing import KnownErasures
from streams.runtime.erasure_reader import CURRENT_SECONDS, ErasureReader
from streams.runtime.table import CheckpointedTable
from tests.behaviour.sinks.records import at
from tests.support.erasures import MARKS, erasure

TOPIC: Final = "erasures"
PARTITION: Final = TopicPartition(TOPIC, 0)
NUMBER: Final = "+306900000001"


class Broker:
    """The topic, and a consumer of it that is silent when the broker cannot be reached, as aiokafka's is."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.is_away = False
        self.hangs = False
        self.seconds = 0.0
        self._position = 0

    def add(self) -> None:
        value = encode(erasure(NUMBER, at(len(self.log))))
        self.log.append(SimpleNamespace(offset=len(self.log), key=b"%d" % len(self.log), value=value))

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Broker"]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise KafkaConnectionError
        yield self

    def assign(self, _: object) -> None:
        """Take the only partition."""

    def seek(self, _: object, offset: int) -> None:
        self._position = offset

    async def position(self, _: object) -> int:
        return self._position

    async def end_offsets(self, _: object) -> dict[TopicPartition, int]:
        if self.is_away:
            raise KafkaConnectionError
        return {PARTITION: len(self.log)}

    async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[Any]]:
        self.seconds += 1
        await asyncio.sleep(0)
        found = [] if self.is_away else self.log[self._position :]
        self._position += len(found)
        return {PARTITION: found}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()

    async def pass_(seconds: float) -> None:
        made.seconds += seconds
        await real(0)

    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", pass_)
    return made


async def until(follow: "asyncio.Task[None]", condition: Callable[[], bool]) -> None:
    """Let the reader go on until it is so."""
    for _ in range(1_000):
        if condition():
            return
        assert not follow.done()
        await asyncio.sleep(0)
    raise AssertionError(condition)


async def test_all_erasures_are_known_until_kafka_has_not_said_so_for_too_long(broker: Broker) -> None:
    broker.add()
    known = KnownErasures(MARKS)
    reader = ErasureReader(broker, TOPIC, known, lambda: broker.seconds)  # type: ignore[arg-type]
    await reader.catch_up()
    assert (known.end, known.is_current, known.confirmations) == (1, True, 1)
    follow = asyncio.ensure_future(reader.follow())
    began = broker.seconds
    await until(follow, lambda: broker.seconds > began + 3 * CURRENT_SECONDS)
    assert known.is_current, "a topic without new records is no reason"
    assert known.confirmations > 2
    broker.is_away, went = True, broker.seconds
    confirmations = known.confirmations
    broker.add()
    await until(follow, lambda: not known.is_current)
    assert known.confirmations == confirmations
    assert CURRENT_SECONDS - 5 <= broker.seconds - went <= CURRENT_SECONDS + 5
    assert known.end == 1
    broker.is_away = False
    await until(follow, lambda: known.is_current)
    assert known.end == 2, "what came meanwhile is known first"
    follow.cancel()


async def test_a_broker_that_hangs_says_nothing_either(broker: Broker) -> None:
    known = KnownErasures(MARKS)
    reader = ErasureReader(broker, TOPIC, known, lambda: broker.seconds)  # type: ignore[arg-type]
    await reader.catch_up()
    broker.hangs, went = True, broker.seconds
    follow = asyncio.ensure_future(reader.follow())
    await until(follow, lambda: not known.is_current)
    assert broker.seconds - went <= CURRENT_SECONDS + 1
    follow.cancel()
    await asyncio.gather(follow, return_exceptions=True)
    stopped = broker.seconds
    for _ in range(10):
        await asyncio.sleep(0)
    assert broker.seconds == stopped, "nothing goes on after its end"


async def test_a_table_takes_nothing_in_while_the_erasures_are_not_known(broker: Broker) -> None:
    """It waits; and gives the record up when the partition gets another owner."""
    del broker  # no real sleep
    partition = SimpleNamespace(knows_erasures=False, is_behind=False)
    owned: Any = SimpleNamespace(partition=partition)
    table: Any = SimpleNamespace(should_stop=False, is_mine=True, _may_change=lambda _: table.is_mine)
    waiting = [asyncio.ensure_future(CheckpointedTable._holds_erasures(table, owned)) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    partition.knows_erasures = True
    assert await asyncio.gather(*waiting) == [True, True]
    partition.knows_erasures, table.is_mine = False, False
    assert not await CheckpointedTable._holds_erasures(table, owned)
