"""
Workers that were replaced and do not know it: the broker refuses all their requests in flight.
"""

import signal
from pathlib import Path
from typing import Any

import pytest

from sandbox.kafka import KafkaCluster
from streams.errors import Exit
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import traffic
from tests.support.pipeline.worker import CRASHED
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka
full = pytest.mark.full


def held(topic: str) -> dict[str, Any]:
    """Return the fault by which a worker freezes with a request to a topic built and not yet sent."""
    return {"hold": [topic, 6 if "changelog" in topic else 3]}


def freeze_and_replace(lab: Lab, fault: dict[str, Any], *without: str) -> ToyWorker:
    """
    Let a worker freeze while it works, and another worker take everything over.

    Returns it frozen, when all traffic is done: no later record can heal the effects of its thaw.
    """
    lab.create_topics()
    zombie = lab.start_ready(**fault, without=without)
    lab.flow_until_frozen(zombie, 5)
    lab.expel(zombie)
    lab.start_ready("other", without=without)
    lab.drain()
    return zombie


@pytest.mark.parametrize(
    "topic",
    [
        "streams-sms-changelog",
        pytest.param("sms.status", marks=full),
        pytest.param("campaign.partials", marks=full),
        pytest.param("campaign.progress", marks=full),
        pytest.param("streams-campaigns-changelog", marks=full),
    ],
)
def test_a_request_held_back_in_a_replaced_worker_is_refused(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, topic: str
) -> None:
    """Without any alarm in the worker: the fence alone protects."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        zombie = freeze_and_replace(lab, held(topic), "alarms")
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == Exit.FENCED
        lab.verify()


@pytest.mark.parametrize(
    ("topic", "wrong"),
    [
        ("streams-sms-changelog", "sms table"),
        pytest.param("sms.status", "sms.status", marks=full),
        pytest.param("campaign.progress", "campaign.progress", marks=full),
        pytest.param("streams-campaigns-changelog", "campaigns table", marks=full),
    ],
)
def test_without_the_fence_the_same_request_leaves_wrong_records(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, topic: str, wrong: str
) -> None:
    """The fence is needed: switched off, stale records land on top of the new owner's."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        # Either worker could heal the wrong records, by taking in more or by emitting a progress again: both end here.
        zombie = freeze_and_replace(lab, {**held(topic), "last": True}, "fence", "alarms")
        lab.verify()
        lab.workers[-1].kill()
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == CRASHED
        assert any(line.startswith(wrong) for line in lab.differences())


@full
@pytest.mark.parametrize("table", ["sms", "campaigns"])
@pytest.mark.parametrize("step", ["outputs", "changelog", "store"])
def test_a_worker_that_is_replaced_between_two_steps_of_a_flush_writes_nothing_more(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, table: str, step: str
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        zombie = freeze_and_replace(lab, {"freeze": [table, step, 4]}, "alarms")
        zombie.signal(signal.SIGCONT)
        lab.produce(traffic(5, 900, lab.partitions)[-3:])
        lab.drain()
        assert zombie.wait() == Exit.FENCED
        lab.verify()


@full
@pytest.mark.parametrize("table", ["sms", "campaigns"])
@pytest.mark.parametrize("step", ["init", "claim", "retire"])
def test_a_worker_that_is_replaced_while_it_takes_over_writes_nothing_more(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, table: str, step: str
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.produce(traffic(3, 400, lab.partitions))
        zombie = lab.start("zombie", freeze=[table, step, 2], without=["alarms"])
        eventually(zombie.is_frozen, 60)
        lab.expel(zombie)
        # The zombie may take an epoch of one more partition before it notices, and so end the owner: that starts again.
        lab.supervise(lab.start_ready())
        lab.drain()
        zombie.signal(signal.SIGCONT)
        lab.produce(traffic(3, 700, lab.partitions)[-3:])
        lab.drain()
        lab.verify()


@full
def test_a_replaced_worker_notices_by_itself(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """With its alarms on, a worker that stood still ends itself before it writes."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        zombie = freeze_and_replace(lab, held("sms.status"))
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() in {Exit.MAYBE_REPLACED, Exit.FENCED}
        lab.verify()
