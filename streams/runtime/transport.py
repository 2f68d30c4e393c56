"""
Faust's Kafka transport, with a flush before every commit.
"""

from typing import Any

from faust.transport.drivers.aiokafka import Producer, Transport

from streams.runtime import private_names
from streams.runtime.consumer import ClampingConsumer
from streams.runtime.holdings import held_by


class FlushingProducer(Producer):
    """Flushes the tables whenever Faust flushes its producer: before a commit, at a revocation, at the end."""

    logger = private_names.FAUST_LOGGER

    async def flush(self) -> None:
        """Flush all tables, then Faust's producer."""
        for table in held_by(self.app).tables:
            await table.checkpointer.flush()
        await super().flush()

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Do nothing."""


class CheckpointedTransport(Transport):
    """Faust's Kafka transport with `ClampingConsumer` and `FlushingProducer`."""

    Consumer = ClampingConsumer
    Producer = FlushingProducer
