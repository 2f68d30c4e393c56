"""
The console's reader of live numbers, on the real Kafka.
"""

import asyncio
from contextlib import suppress

import pytest

from console.live.feed import Feed
from console.live.picture import Picture
from console.settings import ConsoleSettings
from sandbox.kafka import KafkaCluster
from streams.admin.topics import connect
from streams.contract.topics import DELIVERY_ALARMS
from streams.program.settings import load_settings
from tests.support.wait import eventually_async

pytestmark = pytest.mark.kafka


async def test_missing_topics_are_named_and_read_once_they_are_there(kafka: KafkaCluster, topic_prefix: str) -> None:
    settings = load_settings(
        ConsoleSettings, env_file=None, kafka_bootstrap_servers=kafka.bootstrap_servers, kafka_topic_prefix=topic_prefix
    )
    feed = Feed(settings, Picture())
    reading = asyncio.create_task(feed.run())
    try:
        missing = DELIVERY_ALARMS.name(topic_prefix)
        await eventually_async(lambda: missing in str(feed.trouble), deadline=30)
        assert "run `routee-streams topics`" in str(feed.trouble)
        with connect(settings) as topics:
            await asyncio.to_thread(topics.create, topics.missing())
        await eventually_async(lambda: feed.trouble is None, deadline=60)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
