"""
The ticks of time: how far a partition has been taken in, and the callbacks since the last tick that was written.
"""

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from aiokafka.errors import KafkaConnectionError

from streams.domain.tally import TALLY_KEY, read_tally
from streams.runtime import private_names
from streams.runtime.ticks import TakenIn, Ticks
from tests.support.memory_rows import MemoryRows


def test_a_partition_is_taken_in_up_to_the_last_look_whose_records_are_all_durable() -> None:
    taken = TakenIn()
    assert taken.look(10.0, end=5, durable=3) == 0
    assert taken.look(20.0, end=9, durable=5) == 10.0
    assert taken.look(30.0, end=12, durable=8) == 10.0
    assert taken.look(40.0, end=12, durable=12) == 40.0


def test_without_records_time_goes_on() -> None:
    taken = TakenIn()
    assert [taken.look(at, end=0, durable=0) for at in (10.0, 20.0)] == [10.0, 20.0]


class Wire:
    """Takes ticks while it is whole."""

    def __init__(self) -> None:
        self.is_cut = False
        self.ticks: list[dict[str, Any]] = []

    async def send_and_wait(self, _topic: str, value: bytes, *, partition: int) -> None:
        del partition
        if self.is_cut:
            raise KafkaConnectionError
        self.ticks.append(orjson.loads(value))


async def test_callbacks_of_a_tick_that_could_not_be_written_are_in_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire, rows, clock = Wire(), MemoryRows(), [600.0]
    monkeypatch.setattr(private_names, "kafka_producer", lambda _: wire)
    monkeypatch.setattr(private_names, "highwater", lambda *_: 0)

    def table(name: str, owned: dict[int, object]) -> Any:  # noqa: ANN401 - a table of the worker
        return SimpleNamespace(name=name, source=name, checkpointer=SimpleNamespace(owned=owned))

    owned = SimpleNamespace(durable=0, begin=0, partition=SimpleNamespace(rows=rows))
    late = [0]
    ticks = Ticks(
        cast("Any", None), (table("sms", {3: owned}), table("deliveries", {})), "watch", 30.0, lambda _: late[0],
        clock=lambda: clock[0],
    )  # fmt: skip
    for minute, (accepted, late[0], is_cut) in enumerate(
        [(10, 1, True), (15, 2, True), (18, 2, False), (25, 4, False)]
    ):
        rows.put(TALLY_KEY, read_tally(rows) | {"accepted": accepted})
        wire.is_cut, clock[0] = is_cut, 600.0 + 60 * minute
        await ticks._look()
    assert [(tick["source"], tick["minute"], tick["callbacks"], tick["late"]) for tick in wire.ticks] == [
        # Lines of the cells may be 70 seconds late: 10, and twice the 30.
        ("sms-3", 10, 8, 1),
        ("sms-3", 11, 7, 2),
    ]
