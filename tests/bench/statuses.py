"""
Millions of SMS status records in Kafka within seconds: what the sinks' benchmarks read.

Each SMS has three records (Queued, Sent, Delivered) with all fields, about 1,100 bytes, of one of twenty campaigns.
They lie in `routee.sms.status` as streams leaves them: uncompressed, hundreds to a record batch.
"""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

from aiokafka import AIOKafkaProducer

from streams.contract.codec import encode, format_time
from streams.contract.records import SmsStatus
from streams.contract.topics import SMS_STATUS
from tests.behaviour.sinks.records import sms

STATUSES: Final = ("Queued", "Sent", "Delivered")
PARTITIONS: Final = 8
_CAMPAIGNS: Final = 20
_ROWS_AT_ONCE: Final = 400
# So many SMS are queued before the first of them is sent.
_WAVE: Final = 20_000
_BATCH_BYTES: Final = 900_000
_TEXT: Final = (
    "Dear customer, the autumn sale starts tomorrow at nine in all our shops. Show this message at the till for "
    "15 per cent off. Text STOP to hear no more."
)
_COUNTRIES: Final = (("GR", "Cosmote"), ("GR", "Vodafone"), ("DE", "Telekom"), ("FR", "Orange"), ("IT", "TIM"))
_PLACES: Final = ("00000000-0000-4000-8000-0123456789ab", "2026-01-02T03:04:05.678Z", "+306912345678")


def fill(bootstrap_servers: str, rows: int) -> None:
    """Put so many records on the topic."""
    asyncio.run(_fill(bootstrap_servers, rows))


async def _fill(bootstrap_servers: str, rows: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks=1, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        numbers = statuses(rows)
        sent = []
        partition = 0
        while values := list(islice(numbers, _ROWS_AT_ONCE)):
            batch = producer.create_batch()
            for key, value in values:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    raise ValueError("a batch has room for more records than that")
            sent.append(await producer.send_batch(batch, SMS_STATUS.name("routee."), partition=partition))
            partition = (partition + 1) % PARTITIONS
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def statuses(rows: int, wave: int = _WAVE) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values: wave after wave, all its SMS queued, then sent, then delivered."""
    templates = [[_template(status, campaign) for campaign in range(_CAMPAIGNS)] for status in STATUSES]
    began = datetime.now(UTC) - timedelta(hours=1)
    per_wave = min(wave, rows // len(STATUSES))
    for first in range(0, rows // len(STATUSES), max(1, per_wave)):
        moment = format_time(began + timedelta(seconds=first // _WAVE)).encode()
        for of_status in templates:
            for number in range(first, first + per_wave):
                # Spread as random identifiers are, or the table would be in the order of its keys already.
                key = b"%08x-0000-4000-8000-%012d" % (number * 2_654_435_761 % (1 << 32), number)
                yield key, of_status[number % _CAMPAIGNS] % (key, key, key, b"+3069%08d" % number, moment)


def _template(status: str, campaign: int) -> bytes:
    """Return a record with places for three identifiers, the recipient and the moment at which it was first seen."""
    identifier, _, recipient = _PLACES
    value = encode(_record(status, campaign)).replace(b"%", b"%%")
    for place in (identifier, recipient):
        value = value.replace(place.encode(), b"%b")
    return value.replace(b'"first_received_at":"2026-11-22T09:00:00.000Z"', b'"first_received_at":"%b"')


def _record(status: str, campaign: int) -> SmsStatus:
    chance = random.Random(campaign)  # noqa: S311 - the same load in every run
    identifier, _, recipient = _PLACES
    country, operator = chance.choice(_COUNTRIES)
    stage = STATUSES.index(status)
    now = datetime(2026, 11, 22, 9, 0, 4, tzinfo=UTC)
    return sms(
        identifier,
        message_id=identifier,
        sms_id=identifier,
        campaign_tracking_id=f"c0ffee00-0000-4000-8000-{campaign:012d}",
        campaign_name=f"Autumn sale {campaign}",
        recipient=recipient,
        country=country,
        operator=operator,
        status=status,
        previous_status=STATUSES[stage - 1] if stage else None,
        is_final=status == "Delivered",
        detailed_status=status,
        status_description="The SMS was sent and it was delivered to its recipient.",
        sent_at=now if stage else None,
        final_at=now if status == "Delivered" else None,
        latency_seconds=4.0 if status == "Delivered" else None,
        price=Decimal("0.036"),
        message=_TEXT,
        revision=stage + 1,
    )
