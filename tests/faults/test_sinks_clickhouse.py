"""
`routee-sinks clickhouse` killed, cut off and shared under load: the views equal the topics' latest records.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.ports import free_port
from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse
from sinks.settings import SinksSettings
from tests.behaviour.sinks.kafka_topics import Topics
from tests.faults.sinks_load import Database, Load, expect_latest
from tests.integration.sinks.running import Running, Sink
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

# So small that a batch cannot grow either while the store is at work.
SMALL_BATCHES = {"SINKS_BATCH_SECONDS": "0.05", "SINKS_BATCH_ROWS": "50", "SINKS_BATCH_BYTES": "80000"}


@pytest.fixture
def views(tables: ClickHouse, settings: SinksSettings) -> Database:
    """Give a look into a database of one's own that has the schema."""
    del tables
    return Database(settings)


def has_written(sink: Sink) -> bool:
    return sink.metric("routee_sinks_rows_total") > 0


def wait_until_all_is_written(topics: Topics, views: Database) -> None:
    """Wait for as many rows in the histories as the topics have records: none of them is there twice."""
    for suffix, view in (("sms.status", "sms_history"), ("campaign.progress", "campaign_history")):
        records = len(topics.everything(suffix))
        eventually(lambda view=view, records=records: views.count(view) == records, 90, every=0.2)  # type: ignore[misc]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, id="2", marks=pytest.mark.timeout(240)),
        pytest.param(10, id="10", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
def test_killed_at_random_moments_under_load_it_ends_with_the_latest_records(
    views: Database, topics: Topics, running: Running, kills: int
) -> None:
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    # It goes on until the last kill, so that every kill meets the sink at work.
    with Load(topics, 300_000, per_second=500) as load:
        for _ in range(kills):
            sink = running.start("clickhouse", **SMALL_BATCHES)
            eventually(lambda sink=sink: has_written(sink), 60)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 1))
            sink.kill()
        # With the usual batches: how much is left depends on the machine, and none of it is lost any more.
        running.start("clickhouse")
        load.end()
        wait_until_all_is_written(topics, views)
        expect_latest(topics, views)


@pytest.mark.timeout(240)
def test_members_that_join_leave_and_die_under_load_lose_no_row(
    views: Database, topics: Topics, running: Running
) -> None:
    with Load(topics, 300_000, per_second=500) as load:
        first = running.start("clickhouse", **SMALL_BATCHES)
        eventually(lambda: has_written(first), 60)
        second = running.start("clickhouse", **SMALL_BATCHES)
        eventually(lambda: has_written(second), 60)
        assert first.stop()[0] == 0
        third = running.start("clickhouse", **SMALL_BATCHES)
        eventually(lambda: has_written(third), 60)
        second.kill()
        load.end()
        wait_until_all_is_written(topics, views)
        expect_latest(topics, views)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """Give an engine of its own: it will be killed."""
    with ClickHouseServer(tmp_path / "engine", free_port()) as server:
        yield server


@pytest.fixture
def own_settings(own_server: ClickHouseServer) -> SinksSettings:
    found = SinksSettings(clickhouse_url=own_server.url, clickhouse_user=own_server.user)
    run_schema(found)
    return found


AWAY_SECONDS = 30


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_clickhouse_away_for_half_a_minute_under_load_costs_nothing(
    own_server: ClickHouseServer, own_settings: SinksSettings, topics: Topics, running: Running, how: str
) -> None:
    """The real engine dies, or does not answer any more, in the middle of inserts."""
    views = Database(own_settings)
    sink = running.start(
        "clickhouse",
        **SMALL_BATCHES,
        CLICKHOUSE_URL=own_server.url,
        CLICKHOUSE_PASSWORD="",
        CLICKHOUSE_DATABASE="routee",
    )
    with Load(topics, 30_000, per_second=500) as load:
        eventually(lambda: has_written(sink), 60)
        if how == "killed":
            own_server.process.kill()
        else:
            os.kill(own_server.process.pid, signal.SIGSTOP)
        assert not threading.Event().wait(AWAY_SECONDS)
        assert sink.process.poll() is None
        if how == "killed":
            assert "store: ClickHouse says no answer" in sink.get("/readyz")[1]
            own_server.start()
        else:
            os.kill(own_server.process.pid, signal.SIGCONT)
        load.finish()
        wait_until_all_is_written(topics, views)
        expect_latest(topics, views)
    assert sink.metric("routee_sinks_rejected_rows_total") == 0
    assert sum("partitions revoked" in message for message in sink.messages) <= 1
