"""
Reading topics outside the consumer group: changelogs, and single records of the sources.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.state.changelog.fetched import check_fetches
from streams.state.changelog.private_names import by_batch

_FETCH_BYTES: Final = {"fetch_max_bytes": 50 << 20, "max_partition_fetch_bytes": 8 << 20}


class Reader:
    """Makes plain consumers; `options` are an aiokafka client's options to reach the brokers."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        check_fetches()
        self._options = {"check_crcs": False, **options}

    def open_batches(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """
        Return what `open` does, for `restore`: each record that the consumer gives is a whole batch.

        A batch yields its records, which have an offset, a key and a value, and nothing else that aiokafka adds.
        """
        return self.open(value_deserializer=by_batch)

    @asynccontextmanager
    async def open(self, **more: Any) -> AsyncIterator[AIOKafkaConsumer]:  # noqa: ANN401 - of aiokafka
        """Yield a started consumer without a group, with more options; stop it at the end."""
        reader = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", **_FETCH_BYTES, **self._options, **more
        )
        await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()

    async def first_record(self, tp: TopicPartition, offset: int) -> int | None:
        """
        Return the offset of the first record at or after `offset`.

        None when there is no such record, or the partition begins later. Raises KafkaError when Kafka does not answer.
        """
        found = await self._first(tp, offset)
        return None if found is None else int(found.offset)

    async def first_moment(self, tp: TopicPartition, offset: int) -> float | None:
        """Return when that record was written, in seconds since 1970 UTC; None and KafkaError as of `first_record`."""
        found = await self._first(tp, offset)
        return None if found is None else found.timestamp / 1000

    async def _first(self, tp: TopicPartition, offset: int) -> Any:  # noqa: ANN401 - aiokafka has no types
        async with self.open() as reader:
            source = TopicPartition(tp.topic, tp.partition)
            if (await reader.beginning_offsets([source]))[source] > offset:
                return None
            reader.assign([source])
            reader.seek(source, offset)
            end = (await reader.end_offsets([source]))[source]
            while await reader.position(source) < end:
                for records in (await reader.getmany(timeout_ms=500, max_records=1)).values():
                    return records[0]
            return None
