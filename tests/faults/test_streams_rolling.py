"""
A rolling upgrade on a real Kafka: workers of this code and of one with one field more share the state under traffic.

Those of a version without cells never share it.
"""

import random
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from streams.contract.topics import CAMPAIGN_PARTIALS
from streams.domain.campaign_stage import CampaignStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output
from streams.domain.views import campaign_key, campaign_view
from streams.errors import Exit
from streams.runtime.assignor import PROTOCOL
from tests.builders import envelope, sms_callback
from tests.support.markdown import ROOT
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.support.one_field_more import copy_with_one_field_more
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import Record
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PARTITIONS = 2
START_MS = 1_795_348_800_000
STEPS = (("Queued", 0), ("Sent", 1_000), ("Delivered", 2_000))
AT_A_TIME = 30
CAMPAIGNS = [f"campaign-{number}" for number in range(5)]


def traffic(seed: int) -> Iterator[Record]:
    """
    Yield envelopes without end: lives of SMS that overlap, in some disorder.

    There are no doubles: a worker that reads one more field learns it from a double, and tells that as a revision.
    """
    rnd = random.Random(seed)  # noqa: S311 - the same traffic every time
    alive: list[list[dict[str, Any]]] = []
    for number in range(1_000_000):
        alive.append(life(f"m{seed}-{number}", number))
        while len(alive) >= AT_A_TIME:
            mine = rnd.choice(alive)
            body = mine.pop(rnd.randrange(min(2, len(mine))))
            if not mine:
                alive.remove(mine)
            partition = partition_of(body["messageId"], PARTITIONS)
            yield partition, envelope(body, received_at=format_time_ms(START_MS + 10_000))


def life(message: str, number: int) -> list[dict[str, Any]]:
    campaign = CAMPAIGNS[number % len(CAMPAIGNS)]
    return [
        sms_callback(
            word, format_time_ms(START_MS + ms), message_id=message, sms_id=f"s-{message}", campaign=campaign,
            costCenter=f"CC-{message}",
        )
        for word, ms in STEPS
    ]  # fmt: skip


class Expected:
    """The records of one version that takes in every callback, in order."""

    def __init__(self, raw: Iterable[tuple[int, bytes | None, bytes | None]]) -> None:
        self.revisions: dict[tuple[str, int], dict[str, Any]] = {}
        self._campaigns = MemoryRows()
        stage, rows = SmsStage(Policy()), defaultdict[int, MemoryRows](MemoryRows)
        offsets: dict[int, int] = defaultdict(int)
        for partition, _, value in raw:
            self._note(outputs_of(stage.apply(rows[partition], partition, offsets[partition], value or b"")))
            offsets[partition] += 1
        for partition, mine in rows.items():
            for at, output in enumerate(stage.summarize(mine, partition, mine.changed)):
                if output.topic is CAMPAIGN_PARTIALS:
                    outputs_of(CampaignStage().apply(self._campaigns, 0, at, output.value))

    def _note(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            record = orjson.loads(output.value)
            self.revisions[record["sms_key"], record["revision"]] = record

    def campaign(self, name: str) -> dict[str, Any]:
        """Return the progress of a campaign, without its revision."""
        return {**(campaign_view(self._campaigns, campaign_key(name)) or {}), "revision": None}


def wrong_cells(lab: Lab, expected: Expected) -> list[str]:
    """Return the cells of the public topics that one version would not have given, and the records that are missing."""
    wrong, told = [], set()
    for _, _, value in lab.read("sms.status"):
        record = orjson.loads(value or b"")
        place = record["sms_key"], record["revision"]
        told.add(place)
        center = record.pop("cost_center", None)
        if center not in (None, f"CC-{record['message_id']}"):
            wrong.append(f"{place}: cost_center {center}")
        true = expected.revisions.get(place, {})
        wrong += [f"{place}: {name} is {record.get(name)}" for name in record if record[name] != true.get(name)]
    wrong += [f"{place}: never told" for place in expected.revisions.keys() - told]
    newest = {key: orjson.loads(value or b"") for _, key, value in lab.read("campaign.progress")}
    for name in CAMPAIGNS:
        progress = {**newest[name.encode()], "revision": None}
        true = expected.campaign(name)
        wrong += [f"{name}: {field} is {progress[field]}" for field in progress if progress[field] != true[field]]
    return wrong + [f"rejected: {value!r}" for _, _, value in lab.read("callbacks.rejected")]


def test_workers_are_replaced_one_by_one_by_those_with_one_field_more_and_no_cell_is_wrong(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    copy_with_one_field_more(tmp_path / "code")
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=PARTITIONS) as lab:
        lab.create_topics()
        records = traffic(7)
        olds = [lab.start_ready("one", rules="product")]
        # All rows begin before the first rebalance: rows that begin after records were told have a higher generation.
        lab.produce(islice(records, 50))
        lab.drain()
        olds.append(lab.start_ready("two", rules="product"))
        with lab.flowing(records):
            for old, folder in zip(olds, ("one", "two"), strict=True):
                lab.wait_for_progress(50)
                old.stop()
                new = lab.start_copy(tmp_path / "code", folder)
                eventually(new.is_ready, 60)
            lab.wait_for_progress(50)
            # And back, as when an upgrade is given up.
            new.stop()
            back = lab.start_ready("two", rules="product")
            lab.wait_for_progress(50)
        lab.produce(islice(records, 50))
        lab.drain()
        expected = Expected(lab.read("callbacks.raw"))
        eventually(lambda: _nothing(wrong_cells(lab, expected)), 60, every=0.5)
        assert _centers(lab) > 0, "no worker with the field ever wrote"
        assert back.exit_code is None


def test_workers_without_cells_and_workers_with_them_are_never_in_one_group(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """Kafka refuses the later one, of either kind; it says what to do, and the earlier one goes on."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=PARTITIONS) as lab:
        lab.create_topics()
        former = _copy_with_protocol(tmp_path / "code", "faust")  # that of 0.1.0
        old = lab.start_copy(former, "one")
        eventually(old.is_ready, 60)
        new = lab.start("two", rules="product")
        assert new.wait() == Exit.READ_FAILED
        assert "stop them all first" in new.log
        old.stop()
        new = lab.start_ready("two", rules="product")
        refused = lab.start_copy(former, "one")
        assert refused.wait() == Exit.READ_FAILED
        assert "stop them all first" in refused.log
        new.stop()


def _copy_with_protocol(folder: Path, name: str) -> Path:
    """Copy the product, with another name for the protocol of its group."""
    for program in ("streams", "ingest"):
        shutil.copytree(ROOT / program, folder / program, ignore=shutil.ignore_patterns("__pycache__"))
    assignor = folder / "streams" / "runtime" / "assignor.py"
    assignor.write_text(assignor.read_text().replace(PROTOCOL, name))
    return folder


def _nothing(wrong: list[str]) -> bool:
    assert wrong == []
    return True


def _centers(lab: Lab) -> int:
    return sum(b'"cost_center":"CC-' in (value or b"") for _, _, value in lab.read("sms.status"))
