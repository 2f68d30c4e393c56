"""Long work lets other tasks have their turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from streams.program.record_batch import RecordBatch
from streams.state import turns
from streams.state.changelog import batches
from streams.state.changelog.batches import Batches
from streams.state.turns import Turns


@asynccontextmanager
async def others(events: list[str]) -> AsyncIterator[None]:
    """Note each turn that other tasks get."""

    async def wait() -> None:
        while True:
            events.append("others")
            await asyncio.sleep(0)

    waiting = asyncio.create_task(wait())
    yield
    waiting.cancel()


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, "others"), (60.0, "two")], ids=["long", "short"])
async def test_a_turn_ends_when_it_has_become_long(
    monkeypatch: pytest.MonkeyPatch, seconds: float, expected: str
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", seconds)
    events: list[str] = []
    async with others(events):
        mine = Turns()
        for piece in ("one", "two"):
            await mine.offer()
            events.append(piece)
    assert events[events.index("one") + 1] == expected


async def test_a_round_of_the_loop_has_one_turn_however_many_tasks_have_long_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    events: list[str] = []
    shared = Turns()

    async def work(name: str) -> None:
        for _ in range(20):
            await shared.offer()
            events.append(name)

    async with others(events):
        await asyncio.gather(work("one"), work("two"), work("three"))
    done = [event for event in events if event != "others"]
    assert done == ["one", "two", "three"] * 20
    assert all(first == "others" or second == "others" for first, second in pairwise(events))


async def test_an_answer_goes_before_other_work_in_every_second_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    done: list[str] = []
    shared = Turns()

    async def work(name: str, *, answer: bool) -> None:
        for _ in range(4):
            await shared.offer(answer=answer)
            done.append(name)

    others = [work(name, answer=False) for name in ("one", "two", "three")]
    await asyncio.gather(*others, work("first answer", answer=True), work("second answer", answer=True))
    answers = [at for at, name in enumerate(done) if name.endswith("answer")]
    assert answers == [*range(0, 16, 2)]
    assert [done[at] for at in answers] == ["first answer", "second answer"] * 4
    assert [name for name in done if not name.endswith("answer")] == ["one", "two", "three"] * 4


async def test_a_task_that_is_cancelled_takes_no_turn_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    shared = Turns()
    waiting = [asyncio.ensure_future(shared.offer()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 10)
    await asyncio.wait_for(shared.offer(), 10)
    assert waiting[0].cancelled()


async def test_batches_started_together_are_built_in_a_turn_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are ready in the same round of the loop; built in a row, they would block it together."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    events: list[str] = []

    class Producer:
        """Appends batches at once."""

        async def send_batch(self, *_: object, **__: object) -> "asyncio.Future[Appended]":
            appended: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
            appended.set_result(Appended())
            return appended

    def noted(*of: Any) -> RecordBatch:  # noqa: ANN401 - as the class takes them
        events.append("built")
        return RecordBatch(*of)

    monkeypatch.setattr(batches, "RecordBatch", noted)
    shared = Turns()
    async with others(events):
        sends = (Batches(Producer(), shared).send("topic", number, {b"k": b"v"}) for number in range(3))
        await asyncio.gather(*sends)
    built = [at for at, event in enumerate(events) if event == "built"]
    assert len(built) == 3
    assert all("others" in events[first:second] for first, second in pairwise(built))


class Appended:
    """The broker's answer to a batch."""

    offset = 0
