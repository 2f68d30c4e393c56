"""
Reading Kafka for a replay: it ends, also when Kafka goes away.
"""

from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from kafka import TopicPartition

from streams.errors import StreamsError
from streams.replay.sources import KafkaSource
from streams.settings import StreamsSettings


class FakeConsumer:
    """A topic of six records, the newest two of them markers, of which Kafka gives the first `GIVEN` offsets."""

    GIVEN: ClassVar[int] = 6

    def __init__(self, **_: object) -> None:
        self._position: int | None = None
        self._polls = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Do nothing, as `seek_to_beginning` and `close`."""

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        pass

    def close(self) -> None:
        pass

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        assert timeout_ms
        return dict.fromkeys(partitions, 6)

    def position(self, _partition: TopicPartition, timeout_ms: int) -> int | None:
        """Kafka may never answer: without a limit of time the real one never returns then."""
        assert timeout_ms
        return self._position

    def poll(self, timeout_ms: int) -> dict[str, list[Any]]:
        assert timeout_ms
        at = self._position or 0
        self._polls += 1
        if at >= self.GIVEN or self._polls % 2:  # each second poll is too short
            return {}
        self._position = at + 1
        return {"t": [SimpleNamespace(offset=at, timestamp=0, value=b"x")]} if at < 4 else {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let each look at the clock be half a minute later than the one before."""
    ticks = count(0, 30)
    monkeypatch.setattr("streams.replay.sources.monotonic", lambda: next(ticks))
    monkeypatch.setattr("streams.replay.sources.KafkaConsumer", FakeConsumer)
    return ticks


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("given", [0, 3, 5])
def test_a_read_without_progress_ends(monkeypatch: pytest.MonkeyPatch, given: int) -> None:
    monkeypatch.setattr(FakeConsumer, "GIVEN", given)
    found = []
    with pytest.raises(StreamsError, match=r"^Kafka gives no records of routee\.callbacks\.raw 3 for 60 s$"):
        found += [record.offset for record in KafkaSource(StreamsSettings()).records(3)]


def test_a_slow_read_with_progress_does_not_end(clock: Iterator[int]) -> None:
    """Nor does one of which the records take long, or of which the newest offsets have no records."""
    found = []
    for record in KafkaSource(StreamsSettings()).records(3):
        found.append(record.offset)
        next(clock), next(clock), next(clock)
    assert found == [0, 1, 2, 3]
