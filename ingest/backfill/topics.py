"""
The topics of results, read from their beginning to their present end, and later on from there.
"""

import logging
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.backfill.errors import TopicsError
from ingest.backfill.known import Known
from ingest.backfill.settings import BackfillSettings
from ingest.clock import PATIENCE_SECONDS, Clock, Patience
from ingest.kafka.log import no_answer
from ingest.kafka.readable import reading_problems
from streams.contract.permissions import backfill
from streams.contract.topics import CAMPAIGN_PROGRESS, SMS_STATUS
from streams.program.brokers import client_options

logger = logging.getLogger(__name__)

_POLL_MS: Final = 500
_RECORDS: Final = 2000


class Topics:
    """A reader outside of all groups; `catch_up` tells `known` everything that was written meanwhile."""

    def __init__(self, settings: BackfillSettings, known: Known, clock: Clock) -> None:
        self._settings = settings
        self._known = known
        self._clock = clock
        self._consumer: AIOKafkaConsumer | None = None
        self._progress = CAMPAIGN_PROGRESS.name(settings.kafka_topic_prefix)
        self._status = SMS_STATUS.name(settings.kafka_topic_prefix)

    async def open(self) -> None:
        """Find the topics; raises TopicsError when Kafka is away or a topic is missing."""
        needed = backfill(self._settings.kafka_topic_prefix)
        if problems := await reading_problems(self._settings, [SMS_STATUS, CAMPAIGN_PROGRESS], needed, self._clock):
            raise TopicsError(problems)
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            client_id="routee-ingest-backfill",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await self._consumer.start()
        except KafkaError as error:
            raise TopicsError(str(no_answer(self._settings, error))) from error
        self._consumer.assign(
            [TopicPartition(name, number) for name in (self._status, self._progress)
             for number in range(self._settings.kafka_partitions)]
        )  # fmt: skip

    async def close(self) -> None:
        """Leave Kafka."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def catch_up(self) -> None:
        """Read to the present ends; raises TopicsError when Kafka does not give the records, or none for a minute."""
        consumer = self._consumer
        if consumer is None:
            raise RuntimeError("open() comes first")
        try:
            ends = await consumer.end_offsets([*consumer.assignment()])
            behind = {partition for partition, end in ends.items() if await consumer.position(partition) < end}
            patience = Patience(self._clock)
            while behind:
                records = await consumer.getmany(*behind, timeout_ms=_POLL_MS, max_records=_RECORDS)
                for partition, some in records.items():
                    for record in some:
                        self._take(partition.topic, record.value)
                behind = {partition for partition in behind if await consumer.position(partition) < ends[partition]}
                if behind and not patience.lasts(got_on=bool(records)):
                    raise TopicsError(
                        f"Kafka does not give the records of the topics: none came for {PATIENCE_SECONDS:.0f} seconds"
                    )
        except KafkaError as error:
            raise TopicsError(f"Kafka does not give the records of the topics: {error}") from error

    def _take(self, topic: str, value: bytes | None) -> None:
        if value is None:
            return
        record = orjson.loads(value)
        if topic == self._status:
            self._known.take_sms(record)
        else:
            self._known.take_campaign(record)
