"""The group's consumer, in the worker's one event loop, starts, fails and stops as Faust's does in a thread."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import faust
import pytest

from streams.runtime.group_reader import GroupReader


class Unreachable(GroupReader):
    """A reader whose brokers do not answer."""

    async def on_start(self) -> None:
        raise ConnectionError("no broker")


class Reachable(GroupReader):
    """A reader that needs no broker."""

    async def on_start(self) -> None:
        """Do nothing."""


class Stubborn(Reachable):
    """A reader that fails while it stops."""

    async def on_thread_stop(self) -> None:
        raise ConnectionError("no broker any more")


def make(kind: type[GroupReader]) -> GroupReader:
    loop = asyncio.get_running_loop()
    app = faust.App("reader", loop=loop)
    consumer: Any = SimpleNamespace(app=app, transport=SimpleNamespace(app=app), RebalanceListener=lambda _: None)
    return kind(consumer, loop=loop, thread_loop=loop)


async def test_start_raises_its_failure_and_the_reader_can_be_stopped(capfd: pytest.CaptureFixture[str]) -> None:
    reader = make(Unreachable)
    with pytest.raises(ConnectionError, match="no broker"):
        await reader.start()
    await asyncio.wait_for(reader.stop(), 5)
    with pytest.raises(ConnectionError):
        await reader.serving
    assert "no broker" in capfd.readouterr().err


async def test_a_failure_while_stopping_delays_no_other_task() -> None:
    reader = make(Stubborn)
    await reader.start()
    await asyncio.wait_for(reader.stop(), 5)
    with pytest.raises(ConnectionError, match="any more"):
        await reader.serving


async def test_the_reader_runs_in_the_loop_and_leaves_other_tasks_alone() -> None:
    threads = threading.active_count()
    other = asyncio.ensure_future(asyncio.Event().wait())
    reader = make(Reachable)
    await reader.start()
    assert await reader.call_thread(current_task_loop) is asyncio.get_running_loop()
    assert threading.active_count() == threads
    await asyncio.wait_for(reader.stop(), 5)
    assert not other.cancelled()
    other.cancel()


async def current_task_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
