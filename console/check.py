"""
`routee-console check`: every problem that would keep the pages from showing something, one line each.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from console.errors import AwayError
from console.programs.client import Programs
from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from console.tables.clickhouse import Tables
from streams.contract import permissions
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PROGRESS, DELIVERY_ALARMS, DELIVERY_WINDOWS
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.kafka_look import look
from streams.program.listening import port_problems

_TOPICS: Final = (CAMPAIGN_PROGRESS, DELIVERY_WINDOWS, DELIVERY_ALARMS, CALLBACKS_RAW)
_CONNECT_MS: Final = 10_000
_REQUEST_MS: Final = 5_000
_NO_MESSAGE: Final = "00000000-0000-0000-0000-000000000000"


def problems(settings: ConsoleSettings) -> Iterator[str]:
    """Yield the problems of Kafka, ClickHouse, the read API, the other programs and the ports."""
    yield from asyncio.run(_found(settings))
    yield from port_problems(settings.endpoint, settings.admin_endpoint)


async def _found(settings: ConsoleSettings) -> list[str]:
    found = await asyncio.gather(
        asyncio.to_thread(_kafka, settings), _clickhouse(settings), _read_api(settings), _programs(settings)
    )
    return [line for lines in found for line in lines]


def _kafka(settings: ConsoleSettings) -> list[str]:
    """Return the topics and permissions that are missing. `streams check` tells the settings that keep records safe."""
    library = logging.getLogger("kafka")
    level = library.level
    library.setLevel(logging.CRITICAL)  # it logs the error that it raises
    try:
        options = client_options(settings)
        admin = KafkaAdminClient(bootstrap_timeout_ms=_CONNECT_MS, request_timeout_ms=_REQUEST_MS, **options)
        try:
            return look(admin, _TOPICS, permissions.console(settings.kafka_topic_prefix), settings).unusable
        finally:
            admin.close()
    except UnusableFilesError as error:
        return str(error).splitlines()
    except (KafkaError, OSError) as error:
        return [why_unreachable(settings, error)]
    finally:
        library.setLevel(level)


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


async def _programs(settings: ConsoleSettings) -> list[str]:
    """Return the programs that do not answer; that one is not ready is told by Health."""
    programs = Programs(settings)
    try:
        found = await programs.now()
    finally:
        await programs.close()
    return [f"CONSOLE_PROGRAMS: {one.name}: {one.trouble}" for one in found if one.is_away]
