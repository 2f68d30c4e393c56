"""A worker goes on with state that the benchmarks generate as if it had taken in every SMS of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.domain.message import MESSAGE_PREFIX, read_message
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.views import message_view
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.throttle import Throttle
from tests.bench import callbacks, grown
from tests.bench.grown import Place
from tests.support.memory_rows import MemoryRows
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import latest
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

MESSAGES = 2_000

Put = Callable[[Place, Path], None]
"""Writes generated state; the folder is the worker's STREAMS_DATA_DIR."""


def put_changelog(place: Place, _: Path) -> None:
    grown.into_changelog(place)


class Expected:
    """A partition as the rules have it, which begins with generated rows."""

    def __init__(self, place: Place, number: int) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.records = 0
        for rows, self.records in place.checkpoints(number):
            self._put(rows)
        self._number = number
        self._topic_id = place.raw_id

    def _put(self, rows: Mapping[bytes, bytes | None]) -> None:
        for key, row in rows.items():
            self.rows.pop(key, None)
            if row is not None:
                self.rows[key] = row

    def unfinished(self) -> list[tuple[str, int]]:
        """Return the SMS that wait for their final status: the message and the number of its campaign."""
        messages = [read_message(row)[0] for key, row in self.rows.items() if key.startswith(MESSAGE_PREFIX)]
        campaigns = [
            (one.message_id, one.parts[0].details.campaign_tracking_id or "")
            for one in messages
            if one.status == "Queued"
        ]
        return [(message, int(campaign.rpartition("-")[2])) for message, campaign in campaigns]

    def take_in(self, envelope: bytes) -> None:
        """Take in the next record."""
        partition = Partition(self._number, SmsStage(Policy()), self.rows.get, Throttle(0.0), Origin(self._topic_id))
        assert [*partition.take_in(self.records, envelope)]
        self._put(partition.seal(0.0).rows)

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield the answer about each message."""
        memory = MemoryRows.of(self.rows)
        for key in self.rows:
            if key.startswith(MESSAGE_PREFIX):
                view = message_view(memory, key)
                assert view is not None
                yield view


def rows_of_stage(rows: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: row for key, row in rows.items() if not key.startswith(b"\0")}


def changelog_of(lab: Lab) -> dict[int, dict[bytes, bytes]]:
    rows: dict[int, dict[bytes, bytes]] = {number: {} for number in range(lab.partitions)}
    for (number, key), value in latest(lab.read("streams-sms-changelog")).items():
        rows[number][key] = value
    return rows


def require_answers(worker: ToyWorker, expected: Expected) -> None:
    for view in expected.answers():
        with urlopen(f"http://127.0.0.1:{worker.port}/messages/{view['message_id']}", timeout=30) as answer:
            assert orjson.loads(answer.read()) == orjson.loads(orjson.dumps(view))


@pytest.mark.parametrize("put", [grown.into_local_state, put_changelog], ids=["local state", "changelog"])
def test_a_worker_answers_for_generated_sms_and_takes_in_their_next_callbacks(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, put: Put
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=2) as lab:
        lab.create_topics()
        lab.wait_for_leaders()
        place = grown.place(kafka.bootstrap_servers, topic_prefix, lab.partitions, MESSAGES)
        put(place, tmp_path / "data")
        expected = [Expected(place, number) for number in range(lab.partitions)]
        worker = lab.start_ready(rules="product")
        generated = sum(len(one.rows) for one in expected)
        if put is put_changelog:
            assert worker.restored[0] > generated
        else:
            assert worker.restored[0] < 100, "claims, and no row"
        for one in expected:
            require_answers(worker, one)
        now = format_time_ms(int(time.time() * 1000))
        for number, one in enumerate(expected):
            before = one.unfinished()
            assert len(before) == MESSAGES // lab.partitions // 10
            bodies = [callbacks.body(message, campaign, "Delivered", now) for message, campaign in before]
            envelope = callbacks.envelope_of(bodies, now)
            lab.produce([(number, envelope)])
            one.take_in(envelope)
            assert one.unfinished() == []
        lab.drain()

        def are_rows_as_expected() -> bool:
            found = changelog_of(lab)
            for number, one in enumerate(expected):
                theirs, mine = rows_of_stage(found[number]), rows_of_stage(one.rows)
                changed = mine if put is put_changelog else {key: mine[key] for key in theirs if key in mine}
                assert theirs == changed
            return True

        eventually(are_rows_as_expected)
        for one in expected:
            require_answers(worker, one)
        worker.stop()
