"""
Callbacks that streams refused by a bug, on the real Kafka; `routee-ingest redrive`; and their end.
"""

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import orjson
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from ingest.callback.envelope import seal
from streams.contract.keys import partition_of
from streams.contract.records import Reason
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, ERASURES
from streams.program.archive import Archived
from tests.builders import CAMPAIGN_ID, sms_callback
from tests.integration.ingest.process import environment
from tests.integration.ingest.topics import PARTITIONS, create_topics, read_partitions
from tests.unit.ingest.redrive.refused import rejected_by_ingest, rejected_by_streams
from tests.unit.streams.domain.pipeline import Pipeline

_TOGETHER: Final = 40
"""Callbacks that were received in the same millisecond."""


class RefusedCallbacks:
    """The topics of a test. Each callback of `refuse` is of an SMS of its own in one campaign."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.servers, self.prefix = servers, prefix
        self.begun = datetime.now(UTC)
        self._rejected = 0
        create_topics(servers, prefix)
        client = KafkaAdminClient(bootstrap_servers=servers)
        try:
            client.create_topics({ERASURES.name(prefix): {"num_partitions": 1, "replication_factor": 1}})
            client.wait_for_topics([ERASURES.name(prefix)], timeout_ms=60_000)
        finally:
            client.close()

    def refuse(self, number: int, *, numbers_from: int = 0) -> None:
        """Let so many callbacks be posted, and refused by streams as a bug; their rejections have no number."""
        now_ms = int(self.begun.timestamp() * 1000)
        bodies = [self.body(at) for at in range(numbers_from, numbers_from + number)]
        with _Producing(self.servers) as producing:
            for first in range(0, number, _TOGETHER):
                some, at_ms = bodies[first : first + _TOGETHER], now_ms + first
                for partition, group in self._by_partition(some).items():
                    value = seal(group, [""] * len(group), at_ms).value
                    offset = producing.put(CALLBACKS_RAW.name(self.prefix), partition, value)
                    for index, body in enumerate(group):
                        rejection = rejected_by_streams(body, (partition, offset, index), Reason.BUG, at_ms)
                        producing.put(CALLBACKS_REJECTED.name(self.prefix), self._next_rejected(), rejection)

    def refuse_by_ingest(self, *bodies: bytes) -> None:
        """Let bodies be posted that ingest refuses."""
        with _Producing(self.servers) as producing:
            for body in bodies:
                rejection = rejected_by_ingest(body, received_ms=int(self.begun.timestamp() * 1000))
                producing.put(CALLBACKS_REJECTED.name(self.prefix), self._next_rejected(), rejection)

    def refuse_again(self) -> None:
        """Let streams refuse again, as a bug, all that was redriven last."""
        attempts = [envelope["attempt"] for _, envelope in self.redriven()]
        with _Producing(self.servers) as producing:
            for (partition, offset), envelope in self.redriven():
                if envelope["attempt"] < max(attempts):
                    continue
                for index, callback in enumerate(envelope["callbacks"]):
                    first = datetime.fromisoformat(envelope["first_received_at"])
                    value = rejected_by_streams(
                        orjson.dumps(callback), (partition, offset, index), Reason.BUG, int(first.timestamp() * 1000)
                    )
                    producing.put(CALLBACKS_REJECTED.name(self.prefix), self._next_rejected(), value)

    def _next_rejected(self) -> int:
        self._rejected += 1
        return self._rejected % PARTITIONS

    @staticmethod
    def body(number: int) -> bytes:
        """Return the callback of an SMS."""
        date = datetime.now(UTC).replace(microsecond=0).isoformat()
        return orjson.dumps(sms_callback("Delivered", date, message_id=f"m-{number}", sms_id=f"s-{number}"))

    @staticmethod
    def _by_partition(bodies: list[bytes]) -> dict[int, list[bytes]]:
        found: dict[int, list[bytes]] = {}
        for body in bodies:
            found.setdefault(partition_of(orjson.loads(body)["messageId"], PARTITIONS), []).append(body)
        return found

    def redriven(self) -> list[tuple[tuple[int, int], dict[str, Any]]]:
        """Return the envelopes of redriven callbacks, with their places."""
        found = []
        for partition, records in sorted(read_partitions(self.servers, CALLBACKS_RAW.name(self.prefix)).items()):
            envelopes = [orjson.loads(record.value) for record in records]
            found += [
                ((partition, offset), envelope)
                for offset, envelope in enumerate(envelopes)
                if envelope.get("source") == "redrive"
            ]
        return found

    def forget_raw(self) -> list[Archived]:
        """Let Kafka forget the callbacks, as after 7 days; return their records as an archive has them."""
        topic, found, client = CALLBACKS_RAW.name(self.prefix), [], KafkaAdminClient(bootstrap_servers=self.servers)
        try:
            for partition, records in sorted(read_partitions(self.servers, topic).items()):
                found += [Archived(partition, at, 0, one.value) for at, one in enumerate(records)]
                client.delete_records({TopicPartition(topic, partition): len(records)})
        finally:
            client.close()
        return found

    def redriven_numbers(self) -> Counter[int]:
        """Return how often the callback of each number was redriven."""
        return Counter(
            int(callback["messageId"].removeprefix("m-"))
            for _, envelope in self.redriven()
            for callback in envelope["callbacks"]
        )

    def counted(self) -> dict[str, Any]:
        """Take in the redriven callbacks, by the rules of streams; return the campaign's record."""
        pipeline = Pipeline()
        for (partition, offset), envelope in self.redriven():
            pipeline.take_in(partition, offset, orjson.dumps(envelope))
        assert not pipeline.rejections
        verdicts = Counter[str]()
        for partition in pipeline.sms_rows:
            verdicts.update(pipeline.tally(partition)["verdicts"])
        assert set(verdicts) <= {"applied"}
        (progress,) = [one for one in pipeline.settle() if one["campaign_tracking_id"] == CAMPAIGN_ID]
        return progress

    @property
    def settings(self) -> dict[str, str]:
        """Return the environment of the program."""
        return environment(self.servers, self.prefix, log_format="text") | {"PYTHONPATH": str(Path.cwd())}

    async def start(self, folder: Path, *options: str) -> asyncio.subprocess.Process:
        """Start a redrive of everything."""
        told = options if "--import" in options else ("--since", "2020-01-01T00:00:00Z", *options)
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ingest", "redrive", *told, env=self.settings, cwd=folder,
            stderr=asyncio.subprocess.STDOUT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def redrive(self, folder: Path, *options: str, code: int = 0) -> str:
        """Run a redrive to its end; return what it said."""
        process = await self.start(folder, *options)
        said, _ = await asyncio.wait_for(process.communicate(), 200)
        assert process.returncode == code, said.decode()
        return said.decode()


class _Producing:
    """Writes records, and tells the offset of each."""

    def __init__(self, servers: str) -> None:
        self._producer = KafkaProducer(bootstrap_servers=servers, linger_ms=5)
        self._next: dict[tuple[str, int], int] = {}

    def put(self, topic: str, partition: int, value: bytes) -> int:
        """Send a record; return its offset. Only the first of a partition is waited for."""
        sent = self._producer.send(topic, value, partition=partition)
        offset = self._next.get((topic, partition))
        if offset is None:
            offset = int(sent.get(60).offset)
        self._next[topic, partition] = offset + 1
        return offset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.flush(60)
        self._producer.close()
