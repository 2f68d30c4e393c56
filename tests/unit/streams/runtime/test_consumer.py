"""The consumer logs no partition as standing still: `streams.health` does, which knows the records that are waiting."""

import asyncio
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from streams.runtime.consumer import ClampingConsumer
from streams.runtime.group_reader import GroupReader

PARTITION = TP("routee.callbacks.raw", 3)
NOT_STARTED = "Stream has not started processing"
NOT_FETCHED = "has not sent fetch request"
NOON_MS = 1_795_000_000_000


def state(timestamp: int | None, highwater: int | None) -> SimpleNamespace:
    """Return what aiokafka knows of a partition: its last fetch, its end; its position is 4."""
    return SimpleNamespace(timestamp=timestamp, highwater=highwater, position=4)


def reader_of(found: SimpleNamespace) -> GroupReader:
    """Return a reader whose time limits have passed."""
    loop = asyncio.get_running_loop()
    app = faust.App("reader", loop=loop, stream_processing_timeout=0.001, broker_commit_livelock_soft_timeout=0.001)
    app.topics = SimpleNamespace(acks_enabled_for=lambda _: True)  # type: ignore[assignment]
    consumer: Any = SimpleNamespace(app=app, transport=SimpleNamespace(app=app), RebalanceListener=lambda _: None)
    reader = GroupReader(consumer, loop=loop, thread_loop=loop)
    assignment = SimpleNamespace(active=True, state_value=lambda _: found)
    subscriptions = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
    reader._consumer = SimpleNamespace(_fetcher=SimpleNamespace(_subscriptions=subscriptions))
    reader.time_started = 0.0
    return reader


@pytest.mark.parametrize(
    ("found", "complaint"),
    [(state(NOON_MS, 5), NOT_STARTED), (state(None, None), NOT_FETCHED)],
    ids=["a record has just come", "taken over just now"],
)
async def test_a_partition_that_moves_is_no_error_in_the_log(
    found: SimpleNamespace, complaint: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Faust's own consumer logs each of these as an error."""
    reader = reader_of(found)

    def complaints_of(kind: type[Consumer]) -> str:
        consumer: Any = object.__new__(kind)
        consumer._thread = reader
        caplog.clear()
        kind.verify_event_path(consumer, 900.0, PARTITION)
        return caplog.text + "".join(capfd.readouterr())

    assert complaint in complaints_of(Consumer), "the limits have passed"
    assert complaints_of(ClampingConsumer) == ""
