"""
Workers that were replaced and do not know it: the broker refuses whatever they still have in flight.
"""

import signal
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from streams.errors import Exit
from tests.support.pipeline.lab import Lab, ToyWorker
from tests.support.pipeline.truth import traffic
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka
full = pytest.mark.full


def freeze_and_replace(lab: Lab, topic: str, *without: str) -> ToyWorker:
    """
    Freeze a worker with a request to a topic built and not yet sent, and let another worker take everything over.

    Returned frozen, when all traffic is done: nothing that it does after its thaw can be healed by later records.
    """
    lab.create_topics()
    zombie = lab.start_ready(hold=[topic, 12 if "changelog" in topic else 3], without=without)
    lab.produce(traffic(5, 600, lab.partitions), pause=0.01)
    eventually(zombie.is_frozen, 20)
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
        zombie = freeze_and_replace(lab, topic, "alarms")
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == Exit.FENCED
        lab.verify()


def test_without_the_fence_the_same_request_leaves_wrong_rows(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The fence is needed: switched off, stale rows land on top of the new owner's."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        zombie = freeze_and_replace(lab, "streams-sms-changelog", "fence", "alarms")
        lab.verify()
        zombie.signal(signal.SIGCONT)
        eventually(lambda: any(line.startswith("sms table") for line in lab.differences()), 15, every=0.2)


@full
def test_a_replaced_worker_notices_by_itself(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """With its alarms on, a worker that stood still ends itself before it writes."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        zombie = freeze_and_replace(lab, "sms.status")
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() in {Exit.MAYBE_REPLACED, Exit.FENCED}
        lab.verify()
