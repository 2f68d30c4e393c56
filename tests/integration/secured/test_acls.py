"""
Each program with exactly the permissions of the table, and with each single one taken away, on a real authorizer.

Every case has a user of its own, who lacks one permission from the start: no test waits for a change to be known.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from prometheus_client import CollectorRegistry, Counter

import console.cli
import ingest.cli
import sinks.cli
import streams.admin.verify
import streams.cli
from ingest.backfill.errors import TopicsError
from ingest.backfill.known import Known
from ingest.backfill.settings import BackfillSettings
from ingest.backfill.topics import Topics
from ingest.clock import SystemClock
from streams.contract import permissions
from streams.contract.codec import format_time
from streams.contract.permissions import PERMISSIONS, Kind, Need, Operation, Permission, Resource
from streams.contract.topics import ALL_TOPICS, DELIVERY_ALARMS, SMS_STATUS
from streams.program.brokers import client_options
from streams.program.kafka_problems import missing_permission, unseen_topic
from streams.program.settings import CommonSettings, load_settings
from streams.runtime.webhook import Webhook
from tests.builders import sms_callback
from tests.integration.secured.brokers import GuardedKafka
from tests.integration.secured.test_secured_kafka import Pipeline, run
from tests.support.wait import eventually, eventually_async

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PREFIX = "acls."
ERASURE_KEY = "0123456789abcdef" * 4
COMMANDS: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "routee-ingest": (ingest.cli.main, ["check"]),
    "routee-streams worker": (streams.cli.main, ["check"]),
    "routee-streams topics": (streams.cli.main, ["topics"]),
    "routee-streams topics --alter": (streams.cli.main, ["topics", "--alter"]),
    "routee-streams rebuild --campaigns --deliveries": (streams.cli.main, ["rebuild", "--campaigns", "--deliveries"]),
    "routee-streams alarms": (streams.cli.main, ["alarms", "unmute", "account"]),
    "routee-streams erase": (streams.cli.main, ["erase", "--recipient", "+306912345678"]),
    "routee-streams erase --verify": (streams.cli.main, ["erase", "--verify", "--recipient", "+306912345678"]),
    "routee-streams replay --from kafka": (streams.cli.main, ["replay", "--from", "kafka", "--into", "replayed"]),
    "routee-ingest redrive": (ingest.cli.main, ["redrive", "--since", "2026-11-01T00:00:00Z", "--plan"]),
    "routee-sinks": (sinks.cli.main, ["check"]),
    "routee-console": (console.cli.main, ["check"]),
}
"""The commands that tell each program's missing permissions; those of a consumer are told by its client."""
WEBHOOK = "routee-streams worker with STREAMS_ALARM_WEBHOOK"
BACKFILL = "routee-ingest backfill"
_OTHERS_AWAY = {"routee-sinks", "routee-console"}
"""Programs of which `check` looks for ClickHouse or the read API, too, which are away."""


class Case(NamedTuple):
    """A user who has the permissions of a program but for one, on topics under a prefix of its own or of all."""

    user: str
    program: str
    without: Permission
    prefix: str

    def __str__(self) -> str:
        return f"{self.program}-{self.without.operation.word}-{self.without.resource.name}"

    @property
    def granted(self) -> list[Permission]:
        return [one for one in PERMISSIONS[self.program](self.prefix) if one != self.without]


def cases() -> Iterator[Case]:
    numbers = itertools.count()
    for program, of in PERMISSIONS.items():
        for place, one in enumerate(of(PREFIX)):
            number = next(numbers)
            # Only a topic that is not there has to be created. Nothing is remade without the permission.
            alone = one.operation is Operation.CREATE and "topics" in program
            prefix = f"of{number}." if alone else PREFIX
            yield Case(f"lacks{number}", program, of(prefix)[place], prefix)


CASES = list(cases())
COMPLETE = {program: f"has{number}" for number, program in enumerate(PERMISSIONS)}
POWERLESS = "powerless"
VIEWER = "viewer"
VIEWS = [
    Permission(Operation.DESCRIBE, Resource(kind, PREFIX, is_prefix=True))
    for kind in (Kind.TOPIC, Kind.GROUP, Kind.TRANSACTIONAL_ID)
]
"""Everything may be seen, and nothing used."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """Give a broker with the topics of `PREFIX`, and users with their permissions."""
    users = [POWERLESS, VIEWER, *COMPLETE.values(), *(case.user for case in CASES)]
    folder = tmp_path_factory.mktemp("acls") / "kafka"
    with GuardedKafka(folder, {user: f"password-of-{user}" for user in users}) as kafka:
        kafka.grant(
            {COMPLETE[program]: of(PREFIX) for program, of in PERMISSIONS.items()}
            | {case.user: case.granted for case in CASES}
            | {VIEWER: VIEWS}
        )
        made = run("routee-streams", "topics", kafka_at(kafka, COMPLETE["routee-streams topics"], PREFIX))
        assert made.returncode == 0, made.stderr
        yield kafka


def kafka_at(kafka: GuardedKafka, user: str, prefix: str) -> dict[str, str]:
    return kafka.as_user(user) | {"KAFKA_TOPIC_PREFIX": prefix, "KAFKA_PARTITIONS": "1"}


class Said(NamedTuple):
    """A command's answer: its lines about Kafka."""

    code: int
    warnings: list[str]
    problems: list[str]
    out: list[str]


class Shell:
    """Runs commands in this process."""

    def __init__(
        self,
        kafka: GuardedKafka,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self._kafka, self._monkeypatch, self._capsys, self._caplog = kafka, monkeypatch, capsys, caplog
        for cli in (ingest.cli, streams.cli, sinks.cli, console.cli):
            monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("CLICKHOUSE_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("CONSOLE_READ_API", "http://127.0.0.1:1")
        for port in ("CONSOLE_PORT", "CONSOLE_ADMIN_PORT"):
            monkeypatch.setenv(port, "0")
        monkeypatch.setenv("ERASURE_KEY", ERASURE_KEY)
        # These have no part in the permissions on Kafka.
        monkeypatch.setattr(streams.admin.verify, "_asked_of_sinks", lambda *_: iter(()))
        monkeypatch.setenv("INGEST_HOST", "127.0.0.1")  # without a secret it listens nowhere else

    def run(self, program: str, user: str, prefix: str = PREFIX) -> Said:
        main, arguments = COMMANDS[program]
        for name, value in kafka_at(self._kafka, user, prefix).items():
            self._monkeypatch.setenv(name, value)
        self._capsys.readouterr()
        self._caplog.clear()
        code = main(arguments)
        said = self._capsys.readouterr()
        logged = [record.getMessage() for record in self._caplog.records if record.name == "ingest.cli"]
        out, err = said.out.splitlines(), said.err.splitlines() + logged
        warnings = [line for line in out + err if line.startswith("warning: ") and "single copy" not in line]
        problems = [line for line in err if not line.startswith(("CLICKHOUSE_", "CONSOLE_READ_API", "warning: "))]
        return Said(code, warnings, problems, [line for line in out if not line.startswith("warning: ")])


@pytest.fixture
def shell(
    guarded: GuardedKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Shell:
    return Shell(guarded, tmp_path, monkeypatch, capsys, caplog)


def test_every_program_of_the_table_has_a_command_that_tells_its_permissions() -> None:
    # These are told by their clients when they are used.
    assert PERMISSIONS.keys() - COMMANDS.keys() == {"a consumer", BACKFILL, WEBHOOK}


@pytest.mark.parametrize("program", COMMANDS)
def test_a_program_with_exactly_its_permissions_has_no_problem(shell: Shell, program: str) -> None:
    said = shell.run(program, COMPLETE[program])
    assert (said.warnings, said.problems) == ([], [])


@pytest.mark.parametrize("case", [case for case in CASES if case.program in COMMANDS], ids=str)
def test_each_permission_that_is_missing_is_told_and_no_other(shell: Shell, case: Case) -> None:
    said = shell.run(case.program, case.user, case.prefix)
    assert said.problems == problems_without(case)
    hidden = f"warning: this user may not see the settings of {case.without.resource.name}: "
    begins = [line[: len(hidden)] for line in said.warnings]
    assert begins == [hidden] * (case.without.operation in {Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS})
    assert said.code == (1 if said.problems or case.program in _OTHERS_AWAY else 0)


def problems_without(case: Case) -> list[str]:
    """Return the lines for the missing permission."""
    operation, resource, need = case.without
    if need is not Need.ALWAYS:
        return []
    left = {one.operation for one in case.granted if one.resource == resource and one.need is Need.ALWAYS}
    if resource.kind is Kind.TOPIC and not left & {
        Operation.READ,
        Operation.WRITE,
        Operation.DELETE,
        Operation.DESCRIBE,
    }:
        needed = PERMISSIONS[case.program](case.prefix)
        return [unseen_topic(resource.name, permissions.operations_on(resource, needed))]
    return [missing_permission(resource, [operation])]


@pytest.mark.parametrize("program", COMMANDS)
def test_a_user_who_may_do_nothing_is_told_every_topic_and_group(shell: Shell, program: str) -> None:
    said = shell.run(program, POWERLESS)
    needed = PERMISSIONS[program](PREFIX)
    assert said.code == 1
    for resource in dict.fromkeys(one.resource for one in needed if one.need is Need.ALWAYS):
        operations = permissions.operations_on(resource, needed)
        if resource.kind is Kind.TOPIC:
            assert unseen_topic(resource.name, operations) in said.problems
        else:
            assert missing_permission(resource, operations) in said.problems
    assert not any("created" in line or "exists" in line for line in said.out)


@pytest.mark.parametrize("program", COMMANDS)
def test_a_user_who_may_see_everything_is_told_the_other_operations(shell: Shell, program: str) -> None:
    needed = PERMISSIONS[program](PREFIX)
    # The topics are there.
    unneeded = {Operation.DESCRIBE} | ({Operation.CREATE} if "topics" in program else set())
    expected = []
    for resource in dict.fromkeys(one.resource for one in needed):
        operations = permissions.operations_on(resource, needed)
        if lacking := [operation for operation in operations if operation not in unneeded]:
            expected.append(missing_permission(resource, lacking))
    assert shell.run(program, VIEWER).problems == expected


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.without.operation is Operation.CREATE and "topics" in case.program], ids=str
)
def test_a_topic_that_may_not_be_created_is_not_said_to_be(shell: Shell, case: Case) -> None:
    """Run again: the others are there since the test of the missing permission, or are created now."""
    said = shell.run(case.program, case.user, case.prefix)
    told = {line.partition(": ")[0] for line in said.out}
    assert told == {topic.name(case.prefix) for topic in ALL_TOPICS} - {case.without.resource.name}


def test_the_permission_to_create_on_the_cluster_does_as_well(guarded: GuardedKafka, shell: Shell) -> None:
    user = next(case.user for case in CASES if case.program == "routee-streams topics")
    prefix = "cluster."
    create = Permission(Operation.CREATE, permissions.CLUSTER)
    guarded.grant(
        {user: [create, *(one for one in permissions.topics(prefix) if one.operation is not create.operation)]}
    )
    said = shell.run("routee-streams topics", user, prefix)
    assert (said.code, said.problems) == (0, [])
    assert said.out == [f"{topic.name(prefix)}: created" for topic in ALL_TOPICS]
    assert shell.run("routee-streams topics", user, prefix).problems == []


def test_the_pipeline_works_with_exactly_the_permissions_of_the_table(guarded: GuardedKafka, tmp_path: Path) -> None:
    users = {
        "ingest": guarded.as_user(COMPLETE["routee-ingest"]),
        "streams": guarded.as_user(COMPLETE["routee-streams worker"]),
        "sinks": guarded.as_user(COMPLETE["routee-sinks"]),
    }
    # Tests above have made erasures.
    admin = kafka_at(guarded, COMPLETE["routee-streams topics"], PREFIX) | {"ERASURE_KEY": ERASURE_KEY}
    pipeline = Pipeline(tmp_path, admin, PREFIX, users, partitions=1)
    try:
        body = sms_callback(at=format_time(datetime.now(UTC)), message_id=str(uuid4()))
        assert pipeline.post(orjson.dumps(body)) == 200
        eventually(pipeline.has_row, 60)
        asyncio.run(read(guarded, COMPLETE["a consumer"]))
    finally:
        pipeline.close()


async def read(kafka: GuardedKafka, user: str) -> None:
    """Read a record of each topic of a consumer in its group, from the beginning, and commit."""
    known = kafka_at(kafka, user, PREFIX)
    settings = CommonSettings.model_validate({name.lower(): value for name, value in known.items()})
    topics = {one.resource.name for one in permissions.consumer(PREFIX) if one.resource.kind is Kind.TOPIC}
    consumer = AIOKafkaConsumer(
        *topics,
        group_id=permissions.YOUR_GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=1,
        **client_options(settings),
    )
    try:
        await consumer.start()
        topics.remove(DELIVERY_ALARMS.name(PREFIX))  # one SMS opens no alarm
        async with asyncio.timeout(60):
            while topics:
                topics -= {tp.topic for tp in await consumer.getmany(timeout_ms=500)}
        await consumer.commit()
    finally:
        await consumer.stop()


ERRORS: Mapping[Kind, type[KafkaError]] = {
    Kind.TOPIC: TopicAuthorizationFailedError,
    Kind.GROUP: GroupAuthorizationFailedError,
}


@pytest.mark.parametrize("case", [case for case in CASES if case.program == "a consumer"], ids=str)
async def test_a_consumer_needs_each_of_its_permissions(guarded: GuardedKafka, case: Case) -> None:
    with pytest.raises(ERRORS[case.without.resource.kind]):
        await read(guarded, case.user)


async def catch_up(kafka: GuardedKafka, user: str) -> None:
    """Read what the backfill has to know."""
    known = kafka_at(kafka, user, PREFIX)
    told: dict[str, Any] = {name.lower(): value for name, value in known.items()}
    account: dict[str, Any] = {"routee_application_id": "id", "routee_application_secret": "secret"}
    settings = load_settings(BackfillSettings, env_file=None, **told, **account)
    topics = Topics(settings, Known(0), SystemClock())
    try:
        async with asyncio.timeout(60):
            await topics.open()
            await topics.catch_up()
    finally:
        await topics.close()


async def test_the_backfill_reads_with_exactly_its_permissions(guarded: GuardedKafka) -> None:
    await catch_up(guarded, COMPLETE[BACKFILL])


@pytest.mark.parametrize("case", [case for case in CASES if case.program == BACKFILL], ids=str)
async def test_the_backfill_tells_each_permission_that_is_missing(guarded: GuardedKafka, case: Case) -> None:
    with pytest.raises(TopicsError) as told:
        await catch_up(guarded, case.user)
    assert str(told.value) == unseen_topic(case.without.resource.name, [Operation.READ])


class Listening(Webhook):
    """A webhook that tells when it has its place in the topic of the alarms."""

    def __init__(self, kafka: GuardedKafka, user: str) -> None:
        known = kafka_at(kafka, user, PREFIX)
        settings = CommonSettings.model_validate({name.lower(): value for name, value in known.items()})
        topic, group = DELIVERY_ALARMS.name(PREFIX), permissions.webhook_group(PREFIX)
        notices = Counter("notices", "", ["outcome"], registry=CollectorRegistry())
        super().__init__("http://127.0.0.1:1", b"", topic, group, client_options(settings), notices)

    async def until_placed(self) -> None:
        """Return when the group has a commit of the alarms' partition; KafkaError."""
        serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(60):
                await wait_for_either(serving, lambda: bool(self._known))
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def wait_for_either(task: asyncio.Task[None], is_done: Callable[[], bool]) -> None:
    """Return when something holds; the error of a task that ends before."""
    waiting = asyncio.create_task(eventually_async(is_done, 60))
    done, _ = await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for ended in done:
        ended.result()


async def test_the_webhook_reads_with_exactly_its_permissions(guarded: GuardedKafka) -> None:
    await Listening(guarded, COMPLETE[WEBHOOK]).until_placed()


@pytest.mark.parametrize("case", [case for case in CASES if case.program == WEBHOOK], ids=str)
async def test_the_webhook_needs_each_of_its_permissions(guarded: GuardedKafka, case: Case) -> None:
    with pytest.raises(ERRORS[case.without.resource.kind]):
        await Listening(guarded, case.user).until_placed()


def test_a_start_tells_the_missing_permissions_and_does_not_loop(guarded: GuardedKafka, tmp_path: Path) -> None:
    ids = Resource(Kind.TRANSACTIONAL_ID, f"{PREFIX}streams:", is_prefix=True)
    lacks_ids = next(case for case in CASES if case.without.resource == ids)
    settings = kafka_at(guarded, lacks_ids.user, PREFIX) | {"STREAMS_DATA_DIR": str(tmp_path / "state")}
    said = run("routee-streams", "worker", settings)
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1] == missing_permission(ids, [Operation.WRITE])
    read_status = Permission(Operation.READ, Resource(Kind.TOPIC, SMS_STATUS.name(PREFIX)))
    lacks_status = next(case for case in CASES if case.program == "routee-sinks" and case.without == read_status)
    settings = kafka_at(guarded, lacks_status.user, PREFIX) | {
        "SINKS_FILES_ROOT": str(tmp_path / "files"),
        "SINKS_METRICS_PORT": "0",
    }
    said = run("routee-sinks", "files", settings)
    assert said.returncode == 1
    assert unseen_topic(read_status.resource.name, [Operation.READ]) in said.stderr
