"""
A worker of today goes on with the state that an earlier version left in Kafka and on disk.

Everything is compared with one version that has all callbacks from the beginning.
"""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CHANGELOGS
from tests.support.golden import make, traffic, verdicts
from tests.support.golden.loading import load, put_store
from tests.support.golden.product import CALLBACKS_REJECTED, CAMPAIGN_PREFIX, HELD, campaign_view, changelog
from tests.support.golden.rules import rules_of_then
from tests.support.golden.single import Single, campaign_state, comparable, placed, sms_state
from tests.support.golden.stored import TABLES, Golden, golden_sets
from tests.support.memory_rows import MemoryRows
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import latest
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka


def stored(lab: Lab, table: str) -> dict[int, MemoryRows]:
    """Return the rows of a table as its changelog has them now."""
    rows: dict[int, dict[bytes, bytes]] = {number: {} for number in range(lab.partitions)}
    for (number, key), value in latest(lab.read(changelog(table).suffix)).items():
        rows[number][key] = value
    return {number: MemoryRows.of(mine) for number, mine in rows.items()}


def require_state(lab: Lab, expected: dict[str, Any]) -> None:
    """Return when all work is done and the rows are those of a single version; AssertionError says which are not."""
    lab.drain()

    def is_reached() -> bool:
        tables = {table: stored(lab, table) for table in TABLES}
        held = [key for rows in tables.values() for one in rows.values() for key in one.written if key.startswith(HELD)]
        assert held == []
        found = {**sms_state(tables["sms"]), **campaign_state(tables["campaigns"].values())}
        assert {name: found.get(name) for name in expected if found.get(name) != expected[name]} == {}
        assert found.keys() == expected.keys()
        return True

    eventually(is_reached, every=0.2)


def require_answers(worker: ToyWorker, single: Single) -> None:
    """Ask for every message, SMS and campaign; AssertionError unless the answers are those of a single version."""
    for name, expected in single.state.items():
        if "message_id" in expected:
            assert comparable(ask(worker, f"/messages/{expected['message_id']}")) == expected
        elif "campaign_tracking_id" in expected:
            answer = ask(worker, f"/campaigns/{expected['campaign_tracking_id']}")
            assert {**answer, "revision": 0, "generation": 0} == expected, name


def ask(worker: ToyWorker, path: str) -> dict[str, Any]:
    """Return an answer of the worker."""
    with urlopen(f"http://127.0.0.1:{worker.port}{path}", timeout=30) as answer:
        found: dict[str, Any] = orjson.loads(answer.read())
        return found


def require_told(lab: Lab, golden: Golden, single: Single) -> None:
    """Find on the public topics what a single version tells from there on, each once or more, in order."""
    topic = lab.read("sms.status")
    for number, expected in single.told.items():
        assert list(dict.fromkeys((key, value) for place, key, value in topic if place == number)) == expected
    rejected = [orjson.loads(value or b"") for _, _, value in lab.read(CALLBACKS_REJECTED.suffix)]
    assert "bug" not in {rejection["reason"] for rejection in rejected}
    assert by_place(rejected) == by_place(single.rejected)
    require_progress(lab, golden)


def by_place(rejections: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return rejections, each once, in an order that does not depend on their partitions."""
    return sorted({orjson.dumps(rejection) for rejection in rejections})


def require_progress(lab: Lab, golden: Golden) -> None:
    """
    Revisions of campaigns go on from the last one that was told, and the last record is what the row says.

    A campaign that nothing changed since has its record of then, with that version's fields and verdict.
    """
    before = {one["campaign_tracking_id"]: one for one in golden.answers("campaign.progress")}
    last = dict(before)
    for progress in (orjson.loads(value or b"") for _, _, value in lab.read("campaign.progress")):
        campaign = progress["campaign_tracking_id"]
        newest = last.get(campaign, {"revision": 0})
        assert progress["revision"] > newest["revision"] or progress == newest
        last[campaign] = progress
    rows = stored(lab, "campaigns").values()
    views = chain(*([campaign_view(one, key) for key in one.with_prefix(CAMPAIGN_PREFIX)] for one in rows))
    answers = {view["campaign_tracking_id"]: view for view in views if view}
    assert last.keys() == answers.keys()
    for campaign, told in last.items():
        if told == before.get(campaign):
            assert {name: answers[campaign][name] for name in told} == verdicts.of_stored_rows(golden, told)
        else:
            assert told == answers[campaign]


@pytest.mark.parametrize("local_state", ["with its local state", "with an empty folder"])
@pytest.mark.parametrize("golden", golden_sets(), ids=lambda golden: golden.folder.name)
def test_a_worker_goes_on_with_stored_state_as_if_it_had_written_all_of_it(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, golden: Golden, local_state: str
) -> None:
    records = sum(len(golden.records(changelog(table).suffix)) for table in TABLES)
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=golden.partitions) as lab:
        lab.create_topics()
        load(lab, golden)
        if local_state == "with its local state":
            put_store(lab, golden, tmp_path / "data" / "worker-0")
        worker = lab.start_ready(rules="product")
        takeovers = 2 * len(CHANGELOGS) * golden.partitions
        if local_state == "with its local state":
            assert worker.restored[0] <= takeovers, "claims and owners, and no row"
        else:
            assert worker.restored[0] >= records
        with rules_of_then(golden):
            before = Single(golden).take_in(placed(golden, []))
            whole = Single(golden).take_in(placed(golden, traffic.later()))
        require_state(lab, verdicts.state_of_stored_rows(golden, before.state))
        lab.produce(traffic.later())
        require_state(lab, whole.state)
        require_answers(worker, whole)
        require_told(lab, golden, Single.on_from(golden).take_in(placed(golden, traffic.later())))
        worker.stop()


@pytest.mark.full
@pytest.mark.timeout(400)
def test_the_version_at_hand_writes_a_set_with_every_form_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a release: `python -m tests.support.golden.make VERSION`."""
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    assert make.main(["99.0.0"]) == 0
    golden = Golden(tmp_path / "99.0.0")
    whole = Single(golden).take_in(placed(golden, traffic.later()))
    on = Single.on_from(golden).take_in(placed(golden, traffic.later()))
    assert on.state == whole.state
