"""
The table of permissions has the topics and groups that the programs use, each with the operations that they do.
"""

import pytest

from ingest.kafka.topics import TOPICS
from sinks.clickhouse.sink import ClickHouseSink
from sinks.files.sink import FileSink
from sinks.tables import FILE_TABLE_OF
from streams.admin.topics import WORKER_TOPICS
from streams.app import Stages, _specs
from streams.contract import permissions
from streams.contract.permissions import PERMISSIONS, Kind, Need, Operation, Permission
from streams.contract.topics import ALL_TOPICS, CALLBACKS_REJECTED, ERASURES, SINKS_REJECTED, Topic, changelog
from streams.domain.alarm_stage import AlarmStage
from streams.domain.campaign_stage import CampaignStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.settings import StreamsSettings

PREFIX = "r."


def topics_with(operation: Operation, granted: tuple[Permission, ...]) -> set[str]:
    return {one.resource.name for one in granted if one.operation is operation and one.resource.kind is Kind.TOPIC}


def groups(granted: tuple[Permission, ...]) -> set[str]:
    return {one.resource.name for one in granted if one.resource.kind is Kind.GROUP}


def names(*topics: Topic) -> set[str]:
    return {topic.name(PREFIX) for topic in topics}


def test_ingest_writes_its_topics() -> None:
    granted = permissions.ingest(PREFIX)
    assert topics_with(Operation.WRITE, granted) == names(*TOPICS)
    assert topics_with(Operation.READ, granted) | groups(granted) == set()


def test_a_worker_reads_sources_and_changelogs_and_writes_outputs_and_changelogs() -> None:
    settings = StreamsSettings(kafka_topic_prefix=PREFIX)
    specs = _specs(
        settings,
        dict.fromkeys(ALL_TOPICS, "an id"),
        Stages(SmsStage(Policy()), CampaignStage(), DeliveryStage(), AlarmStage()),
    )
    changelogs = [changelog(spec.name) for spec in specs]
    outputs = frozenset().union(*(spec.exclusive | spec.bundled for spec in specs))
    granted = permissions.worker(PREFIX)
    assert topics_with(Operation.READ, granted) == names(*changelogs, *(spec.source for spec in specs), ERASURES)
    assert topics_with(Operation.WRITE, granted) == names(*changelogs, *outputs, CALLBACKS_REJECTED)
    assert topics_with(Operation.DESCRIBE_CONFIGS, granted) == names(*WORKER_TOPICS)
    assert groups(granted) == {settings.group_id}


def test_sinks_read_the_topics_of_their_tables_in_a_group_for_each_sink() -> None:
    granted = permissions.sinks(PREFIX)
    assert topics_with(Operation.READ, granted) == names(*FILE_TABLE_OF, ERASURES)
    assert topics_with(Operation.WRITE, granted) == names(SINKS_REJECTED)
    assert groups(granted) == {f"{PREFIX}sinks-{sink.name}" for sink in (ClickHouseSink, FileSink)}


@pytest.mark.parametrize("program", PERMISSIONS)
def test_no_permission_is_one_that_another_allows(program: str) -> None:
    granted = PERMISSIONS[program](PREFIX)
    assert len({(one.operation, one.resource) for one in granted}) == len(granted)
    allows = {
        Operation.DESCRIBE: {Operation.READ, Operation.WRITE, Operation.DELETE},
        Operation.DESCRIBE_CONFIGS: {Operation.ALTER_CONFIGS},
    }
    for one in granted:
        others = {other.operation for other in granted if other.resource == one.resource}
        assert not others & allows.get(one.operation, set())


def test_only_the_settings_of_topics_the_archive_and_old_brokers_need_permissions_that_are_no_must() -> None:
    kinds = {(one.operation, one.need) for of in PERMISSIONS.values() for one in of(PREFIX)}
    assert {pair for pair in kinds if pair[1] is not Need.ALWAYS} == {
        (Operation.DESCRIBE_CONFIGS, Need.SETTINGS),
        (Operation.READ, Need.ARCHIVE),
        (Operation.IDEMPOTENT_WRITE, Need.OLD_BROKERS),
    }


def test_operations_have_kafkas_words() -> None:
    assert [operation.word for operation in (Operation.READ, Operation.DESCRIBE_CONFIGS)] == ["Read", "DescribeConfigs"]
