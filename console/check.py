"""
`routee-console check`: every problem that would keep the pages from showing something, one line each.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from console.errors import AwayError
from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from console.tables.clickhouse import Tables
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PROGRESS, DELIVERY_ALARMS, DELIVERY_WINDOWS
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.listening import port_problems

_SECONDS: Final = 10.0
_NO_MESSAGE: Final = "00000000-0000-0000-0000-000000000000"


def problems(settings: ConsoleSettings) -> Iterator[str]:
    """Yield the problems of Kafka, ClickHouse, the read API and the ports."""
    yield from asyncio.run(_found(settings))
    yield from port_problems(settings.endpoint, settings.admin_endpoint)


async def _found(settings: ConsoleSettings) -> list[str]:
    found = await asyncio.gather(_kafka(settings), _clickhouse(settings), _read_api(settings))
    return [line for lines in found for line in lines]


async def _kafka(settings: ConsoleSettings) -> list[str]:
    try:
        options = client_options(settings)
    except UnusableFilesError as error:
        return str(error).splitlines()
    consumer = AIOKafkaConsumer(group_id=None, **options)
    try:
        await asyncio.wait_for(consumer.start(), _SECONDS)
        there = await asyncio.wait_for(consumer.topics(), _SECONDS)
    except (KafkaError, OSError, TimeoutError) as error:
        return [await asyncio.to_thread(why_unreachable, settings, error)]
    finally:
        await consumer.stop()
    wanted = [
        topic.name(settings.kafka_topic_prefix)
        for topic in (CAMPAIGN_PROGRESS, DELIVERY_WINDOWS, DELIVERY_ALARMS, CALLBACKS_RAW)
    ]
    return [f"topic {name} is missing, or this user may not see it" for name in wanted if name not in there]


async def _clickhouse(settings: ConsoleSettings) -> list[str]:
    tables = Tables(settings)
    try:
        await tables.rows("SELECT 1 FROM campaigns, sms, sms_history, messages, delivery_cells, rejections LIMIT 0")
    except AwayError as error:
        return [f"CLICKHOUSE_URL={settings.clickhouse_url}: {error}"]
    finally:
        await tables.close()
    return []


async def _read_api(settings: ConsoleSettings) -> list[str]:
    read_api = ReadApi(settings)
    try:
        await read_api.message(_NO_MESSAGE)
    except AwayError as error:
        return [f"CONSOLE_READ_API={settings.console_read_api}: {error}"]
    finally:
        await read_api.close()
    return []
