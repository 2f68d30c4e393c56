"""A record is delivered in the caller's own step, or waits as in a task."""

import asyncio

import pytest

from streams.runtime.begun import begin


async def test_a_coroutine_that_need_not_wait_ends_at_once() -> None:
    done = []

    async def hand_over() -> None:
        done.append(asyncio.current_task())

    assert begin(hand_over()) is None
    assert done == [asyncio.current_task()]


async def test_a_coroutine_that_waits_continues_where_it_stopped() -> None:
    gate, steps = asyncio.Event(), []

    async def hand_over() -> str:
        steps.append("before")
        await gate.wait()
        await asyncio.sleep(0)
        steps.append("after")
        return "handed over"

    begun = begin(hand_over())
    assert begun is not None
    task = asyncio.ensure_future(begun)
    assert steps == ["before"]
    gate.set()
    assert await task == "handed over"
    assert steps == ["before", "after"]


async def test_the_awaited_future_may_be_done_before_the_coroutine_is_awaited() -> None:
    future = asyncio.get_running_loop().create_future()

    async def hand_over() -> int:
        return int(await future)

    begun = begin(hand_over())
    assert begun is not None
    future.set_result(7)
    assert await begun == 7


async def test_a_cancellation_reaches_the_begun_coroutine() -> None:
    ended = []

    async def hand_over() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")

    begun = begin(hand_over())
    assert begun is not None
    task = asyncio.ensure_future(begun)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended"]


async def test_an_error_is_the_callers_at_once_or_later() -> None:
    gate = asyncio.Event()

    async def hand_over(*, wait: bool) -> None:
        if wait:
            await gate.wait()
        raise LookupError

    with pytest.raises(LookupError):
        begin(hand_over(wait=False))
    begun = begin(hand_over(wait=True))
    assert begun is not None
    gate.set()
    with pytest.raises(LookupError):
        await begun
