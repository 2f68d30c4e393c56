"""
Static members: workers with a name, which keep their partitions over a restart.
"""

import signal
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.errors import Exit
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import endless_traffic, traffic
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka
full = pytest.mark.full

# A static member has to come back within its session; on a busy machine a start can take longer than the product's
# session.
SESSION_SECONDS = 60.0


def start_named(lab: Lab, name: str, port: int) -> ToyWorker:
    """Start the static member of a name, at an address."""
    lab.settings.update({"STREAMS_INSTANCE_ID": name, "STREAMS_WEB_PORT": str(port)})
    return lab.start_ready(name, session=SESSION_SECONDS)


@pytest.mark.parametrize(
    "end", [pytest.param(signal.SIGKILL, id="killed"), pytest.param(signal.SIGTERM, id="stopped", marks=full)]
)
def test_a_static_member_that_is_started_again_goes_on_and_the_others_never_stop(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, end: signal.Signals
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4) as lab:
        lab.create_topics()
        port = free_port()
        restarted = start_named(lab, "one", port)
        other = start_named(lab, "two", free_port())
        with lab.flowing(endless_traffic(51, lab.partitions)):
            lab.wait_for_progress(20)
            before = other.takeovers
            restarted.signal(end)
            restarted.wait()
            start_named(lab, "one", port)
            lab.wait_for_progress(20)
        lab.verify()
        assert other.takeovers == before


@full
def test_a_static_member_that_comes_back_at_another_address_is_found_there(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The others are told by one more assignment."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4) as lab:
        lab.create_topics()
        moved = start_named(lab, "one", free_port())
        other = start_named(lab, "two", free_port())
        before = other.takeovers
        moved.kill()
        start_named(lab, "one", free_port())
        eventually(lambda: other.takeovers > before, 60)
        lab.produce(traffic(52, 300, lab.partitions))
        lab.verify()


@full
def test_a_frozen_static_member_is_fenced_by_the_process_that_has_its_name_now(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """Kafka gives the name's partitions to the last member that joined, without a rebalance."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_INSTANCE_ID="one") as lab:
        lab.create_topics()
        zombie = lab.start_ready(hold=["streams-sms-changelog", 12], without=["alarms"])
        lab.flow_until_frozen(zombie, 53)
        lab.start_ready("other", without=["alarms"])
        lab.drain()
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == Exit.FENCED
        lab.start("third")
        lab.verify()
