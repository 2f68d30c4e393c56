"""
The pipeline without its pipes: emulated callbacks through the pure rules of streams, in memory.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sandbox.emulator.ledger import Ledger, read_ledger
from sandbox.emulator.oracle import Oracle
from sandbox.emulator.traffic.model import Callback, Malformed
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule
from streams.contract.codec import format_time_ms
from streams.contract.topics import CAMPAIGN_PARTIALS, CAMPAIGN_PROGRESS, SMS_STATUS
from streams.domain.campaign_stage import CampaignStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from tests.support.memory_rows import MemoryRows, outputs_of

START = 1_795_000_000
ACCEPTED = [{"status": 200, "ms": 1.0}]


@dataclass
class Shown:
    """The output of the pipeline: latest records by key, and all rejections."""

    sms: dict[str, dict[str, Any]] = field(default_factory=dict)
    campaigns: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejections: list[dict[str, Any]] = field(default_factory=list)


def emulated(options: TrafficOptions, ledger: Path) -> tuple[Oracle, Shown]:
    """Return what the ledger expects of some traffic, and what the rules of streams make of it."""
    callbacks = list(schedule(options, START))
    with Ledger(ledger) as book:
        book.open(options, START)
        for callback in callbacks:
            book.record(callback, [] if callback.lost else ACCEPTED)
        book.close(complete=True)
    return read_ledger(ledger), shown(callbacks)


def shown(callbacks: list[Callback]) -> Shown:
    """Return what the rules of streams make of callbacks that come one by one."""
    result = Shown()
    partials = _first_stage(callbacks, result)
    stage, rows = CampaignStage(), MemoryRows()
    for offset, value in enumerate(partials):
        outputs_of(stage.apply(rows, 0, offset, value))
    for output in stage.summarize(rows, 0, rows.changed):
        if output.topic is CAMPAIGN_PROGRESS:
            record = orjson.loads(output.value)
            result.campaigns[record["campaign_tracking_id"]] = record
    return result


def _first_stage(callbacks: list[Callback], result: Shown) -> list[bytes]:
    stage, rows = SmsStage(Policy()), MemoryRows()
    partials = []
    for offset, callback in enumerate(callback for callback in callbacks if not callback.lost):
        if isinstance(callback.subject, Malformed):  # most of them would not get past ingest
            result.rejections.append(_rejection(callback.subject))
            continue
        envelope = b'{"received_at":"%b","callbacks":[%b]}' % (_time(offset), callback.body)
        outputs = outputs_of(stage.apply(rows, 0, offset, envelope))
        partials += [output.value for output in outputs if output.topic is CAMPAIGN_PARTIALS]
        for record in (orjson.loads(output.value) for output in outputs if output.topic is SMS_STATUS):
            result.sms[record["sms_key"]] = record
    summary = stage.summarize(rows, 0, rows.changed)
    return partials + [output.value for output in summary if output.topic is CAMPAIGN_PARTIALS]


def _time(offset: int) -> bytes:
    return format_time_ms((START + 80_000) * 1000 + offset).encode()


def _rejection(malformed: Malformed) -> dict[str, Any]:
    return {
        "stage": "ingest",
        "reason": malformed.reasons[0],
        "body": None,
        "body_base64": b64encode(malformed.body).decode(),
    }
