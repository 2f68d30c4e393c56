"""
Brokers that go, refuse and forget: twenty seconds of nothing, leaders killed, writes not authorised or too large.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.errors import Exit
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import endless_traffic, traffic
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(300),
]
full = pytest.mark.full

FORGOTTEN_SECONDS = 20


def started(folder: Path, brokers: int = 1, **properties: str) -> Iterator[KafkaCluster]:
    """Give brokers that the test may stop; properties have underscores for dots."""
    named = {name.replace("_", "."): value for name, value in properties.items()}
    cluster = KafkaCluster(folder, free_port(together=brokers), brokers, properties=named)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaCluster]:
    yield from started(tmp_path / "kafka")


@pytest.fixture
def three_brokers(tmp_path: Path) -> Iterator[KafkaCluster]:
    yield from started(tmp_path / "kafka", brokers=3)


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Give a broker whose coordinator forgets an id that was not used for three seconds."""
    yield from started(
        tmp_path / "kafka",
        transactional_id_expiration_ms="3000",
        transaction_remove_expired_transaction_cleanup_interval_ms="500",
    )


@pytest.fixture
def soon_forgetful(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Give a broker that forgets an id a little later than the replacement of a worker takes."""
    yield from started(
        tmp_path / "kafka",
        transactional_id_expiration_ms=str(FORGOTTEN_SECONDS * 1000),
        transaction_remove_expired_transaction_cleanup_interval_ms="500",
    )


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Give a broker with permissions; each user may do all that is not forbidden."""
    yield from started(
        tmp_path / "kafka",
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        allow_everyone_if_no_acl_found="true",
    )


def test_a_record_that_a_topic_does_not_take_ends_the_worker_and_loses_nothing(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()  # with such a topic it would not start
        limit = ConfigResource(ConfigResourceType.TOPIC, f"{topic_prefix}sms.status", {"max.message.bytes": "500"})
        lab.admin.alter_configs([limit])
        eventually(lambda: "'500'" in str(lab.admin.describe_configs([limit])))
        lab.produce(traffic(41, 400, lab.partitions))
        assert worker.wait() == Exit.FLUSH_FAILED
        assert "flush-failed: flush of sms failed: MessageSizeTooLargeError" in worker.log
        lab.expel(worker)
        limit = ConfigResource(ConfigResourceType.TOPIC, f"{topic_prefix}sms.status", {"max.message.bytes": "1048588"})
        lab.admin.alter_configs([limit])
        lab.start()
        lab.verify()


@full
@pytest.mark.parametrize("topic", ["sms.status", "streams-sms-changelog"])
def test_a_worker_that_may_not_write_any_more_ends_with_a_clear_line_and_loses_nothing(
    guarded: KafkaCluster, topic_prefix: str, tmp_path: Path, topic: str
) -> None:
    with Lab(guarded.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()  # without the permission it would not start
        forbidden = ACL(
            "User:ANONYMOUS",
            "*",
            ACLOperation.WRITE,
            ACLPermissionType.DENY,
            ResourcePattern(ResourceType.TOPIC, topic_prefix + topic),
        )
        allowed = ACL(
            "User:*",
            "*",
            ACLOperation.ALL,
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType.TOPIC, topic_prefix + topic),
        )
        lab.admin.create_acls([allowed, forbidden])
        lab.produce(traffic(42, 400, lab.partitions))
        assert worker.wait() == Exit.FLUSH_FAILED
        assert "TopicAuthorizationFailedError" in worker.log.splitlines()[-1]
        lab.expel(worker)
        lab.admin.delete_acls([forbidden])
        lab.start()
        lab.verify()


@full
@pytest.mark.parametrize(("kind", "name"), [(ResourceType.GROUP, "streams"), (ResourceType.TOPIC, "callbacks.raw")])
def test_a_worker_that_may_not_read_any_more_ends_with_a_clear_line_and_loses_nothing(
    guarded: KafkaCluster, topic_prefix: str, tmp_path: Path, kind: ResourceType, name: str
) -> None:
    with Lab(guarded.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        which = ResourcePattern(kind, topic_prefix + name)
        forbidden = ACL("User:ANONYMOUS", "*", ACLOperation.READ, ACLPermissionType.DENY, which)
        allowed = ACL("User:*", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, which)
        lab.admin.create_acls([allowed, forbidden])
        assert worker.wait() == Exit.READ_FAILED
        assert f"{kind.name.title()}AuthorizationFailedError" in worker.log.splitlines()[-1]
        lab.admin.delete_acls([forbidden])
        lab.produce(traffic(47, 200, lab.partitions))
        lab.start()
        lab.verify()


@full
def test_twenty_seconds_without_kafka_cost_nothing(own_kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(own_kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        records = traffic(43, 6_000, lab.partitions)
        lab.produce(records[:400], pause=0.01)
        own_kafka.kill_broker(1)
        threading.Event().wait(20)
        own_kafka.start_broker(1)
        lab.supervise(worker)
        lab.produce(records[400:], pause=0.01)
        lab.verify()


@full
@pytest.mark.parametrize("workers", [1, 2])
def test_the_leader_of_a_busy_partition_killed_twice_loses_nothing(
    three_brokers: KafkaCluster, topic_prefix: str, tmp_path: Path, workers: int
) -> None:
    with Lab(three_brokers.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.supervise(*[lab.start_ready() for _ in range(workers)])
        with lab.flowing(endless_traffic(44, lab.partitions)):
            for _ in range(2):
                lab.wait_for_progress(40, deadline=90)
                leader = eventually(lambda: lab.leader_of("streams-sms-changelog", 0), 60)
                three_brokers.kill_broker(leader)
                lab.wait_for_progress(40, deadline=90)
                three_brokers.start_broker(leader)
        lab.verify(deadline=90)


@full
def test_a_leader_that_goes_while_the_fence_is_raised_takes_nothing_of_it_along(
    three_brokers: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The claim is replicated: the next leader refuses the replaced worker, too."""
    with Lab(three_brokers.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        zombie = lab.start_ready(hold=["streams-sms-changelog", 12], without=["alarms"])
        lab.flow_until_frozen(zombie, 45)
        lab.expel(zombie)
        claiming = lab.start("other", freeze=["sms", "init", 3], without=["alarms"])
        eventually(claiming.is_frozen, 60)
        leader = lab.leader_of("streams-sms-changelog", 0)
        three_brokers.kill_broker(leader)
        claiming.signal(signal.SIGCONT)
        eventually(claiming.is_ready, 60)
        lab.drain(60)
        second = lab.leader_of("streams-sms-changelog", 1)
        three_brokers.start_broker(leader)
        three_brokers.kill_broker(second)
        lab.wait_for_leaders()
        zombie.signal(signal.SIGCONT)
        assert zombie.wait(60) == Exit.FENCED
        three_brokers.start_broker(second)
        lab.verify(deadline=60)


@full
def test_an_id_that_the_coordinator_forgot_is_retired_before_another_is_used(
    forgetful: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with replaced_after_expiry(forgetful, topic_prefix, tmp_path, "alarms") as (lab, zombie):
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == Exit.FENCED
        # That request also had public records: only renewed ids keep a zombie out of the public topics, too.
        assert not [line for line in lab.differences() if "table" in line]


@full
def test_without_that_the_forgotten_id_still_writes(forgetful: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """Retiring is needed: switched off, the same request leaves wrong rows."""
    with replaced_after_expiry(forgetful, topic_prefix, tmp_path, "alarms", "retire") as (lab, zombie):
        zombie.signal(signal.SIGCONT)
        eventually(lambda: any(line.startswith("sms table") for line in lab.differences()), every=0.2)


@contextmanager
def replaced_after_expiry(
    kafka: KafkaCluster, prefix: str, folder: Path, *without: str
) -> Iterator[tuple[Lab, ToyWorker]]:
    """Give a worker that froze, was forgotten by the coordinator, and has been replaced since."""
    with Lab(kafka.bootstrap_servers, prefix, folder) as lab:
        lab.create_topics()
        zombie = lab.start_ready(hold=["streams-sms-changelog", 12], without=without)
        lab.flow_until_frozen(zombie, 46)
        lab.expel(zombie)
        eventually(lambda: not any(lab.admin.list_transactions().values()), 30, every=0.2)
        lab.start_ready("other", without=without)
        lab.drain()
        lab.verify()
        yield lab, zombie


@full
def test_a_worker_that_runs_for_longer_than_ids_are_remembered_can_still_be_fenced(
    soon_forgetful: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """It asks for its next epoch before its id is forgotten, so its successor gets one of the same id."""
    with Lab(soon_forgetful.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        zombie = lab.start_ready(hold=["sms.status", 3], renew=1.0, without=["alarms"])
        eventually(lambda: lab.epoch_of("streams-sms-changelog", 0) > FORGOTTEN_SECONDS, 60, every=0.5)
        replace_frozen(lab, zombie)
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == Exit.FENCED
        lab.verify()


@full
def test_without_renewal_a_worker_that_was_replaced_writes_to_the_public_topic_once_more(
    soon_forgetful: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """Renewing is needed: switched off, the same request leaves stale records on top of newer ones."""
    with Lab(soon_forgetful.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        zombie = lab.start_ready(hold=["sms.status", 3], without=["alarms"])
        eventually(lambda: not any(lab.admin.list_transactions().values()), 60, every=0.5)
        replace_frozen(lab, zombie)
        zombie.signal(signal.SIGCONT)
        eventually(lambda: any(line.startswith("sms.status") for line in lab.differences()), every=0.2)


def replace_frozen(lab: Lab, zombie: ToyWorker) -> None:
    """Let a worker freeze, and another one do all of its work."""
    lab.flow_until_frozen(zombie, 48)
    lab.expel(zombie)
    lab.start_ready("other", without=["alarms"])
    lab.drain()
    lab.verify()
