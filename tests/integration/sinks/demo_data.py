"""
The demo's traffic, taken in by the rules of streams without Kafka: the records that the demo leaves on the topics.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from ingest.callback.body import Rejected, examine
from ingest.callback.envelope import reject, seal
from ingest.callback.redaction import Redactor
from ingest.callback.repair import Repaired, repair
from ingest.settings import IngestSettings
from sandbox.demo.run import traffic_options
from sandbox.emulator.traffic.schedule import schedule
from streams.contract.topics import (
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    DELIVERY_PARTIALS,
    DELIVERY_WATCH,
    Topic,
)
from streams.domain.campaign_stage import CampaignStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output
from tests.support.memory_rows import MemoryRows, outputs_of

# The traffic of `routee-sandbox demo` without options.
_SEED: Final = 7
_RECIPIENTS: Final = 1500
_START: Final = datetime(2026, 11, 21, tzinfo=UTC)
DAY: Final = f"{_START:%F}"
"""Of all traffic."""

_NO_SECRETS: Final = Redactor([])
_MAX_BYTES: Final = IngestSettings(ingest_open="yes").ingest_max_body_bytes
Partials = dict[Topic, list[bytes]]
"""Values of the internal topics."""

_URL: Final = "http://127.0.0.1:8080/callbacks"


def demo_records() -> Iterator[tuple[str, bytes]]:
    """Yield (topic without prefix, value) for every change, rejection and, at the end, campaign and cell."""
    sms_stage, rows = SmsStage(Policy()), MemoryRows()
    partials: Partials = {CAMPAIGN_PARTIALS: [], DELIVERY_PARTIALS: []}
    for offset, (topic, value) in enumerate(_taken_in()):
        if topic is CALLBACKS_REJECTED:
            yield topic.suffix, value
        else:
            yield from _public(outputs_of(sms_stage.apply(rows, 0, offset, value)), partials)
    yield from _public(sms_stage.summarize(rows, 0, rows.changed), partials)
    for topic, stage in ((CAMPAIGN_PARTIALS, CampaignStage()), (DELIVERY_PARTIALS, DeliveryStage())):
        merged = MemoryRows()
        for offset, partial in enumerate(partials[topic]):
            outputs_of(stage.apply(merged, 0, offset, partial))
        yield from _public(stage.summarize(merged, 0, merged.changed), partials)


def _public(outputs: list[Output], partials: Partials) -> Iterator[tuple[str, bytes]]:
    for output in outputs:
        if output.topic in partials:
            partials[output.topic].append(output.value)
        elif output.topic is not DELIVERY_WATCH:
            yield output.topic.suffix, output.value


def _taken_in() -> Iterator[tuple[Topic, bytes]]:
    """Yield each callback as ingest stores it, one received every millisecond, on the day after the start."""
    received_at_ms = int((_START + timedelta(days=1)).timestamp() * 1000)
    for callback in schedule(traffic_options(_SEED, _URL, _RECIPIENTS), _START.timestamp()):
        if callback.lost:
            continue
        received_at_ms += 1
        found = _read(callback.body)
        if isinstance(found, Rejected):
            yield CALLBACKS_REJECTED, reject(callback.body, found.reason, found.detail, received_at_ms)
        else:
            key, body = found
            yield CALLBACKS_RAW, seal([body], [key], received_at_ms).value


def _read(body: bytes) -> tuple[str, bytes] | Rejected:
    """Return the key and the JSON of a callback as it stands or repaired, why it is none otherwise."""
    found = examine(body, _NO_SECRETS)
    if not isinstance(found, Rejected):
        return found
    repaired = repair(body, found, _NO_SECRETS, _MAX_BYTES)
    return (repaired.key, repaired.body) if isinstance(repaired, Repaired) else repaired
