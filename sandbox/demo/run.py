"""
The steps of the demo; `screen` shows them.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from sandbox.audit.audit import Audit, audit
from sandbox.audit.command import sources_of
from sandbox.audit.errors import SourceError
from sandbox.demo.backfill import heal, losses
from sandbox.emulator.connection import Target
from sandbox.emulator.ledger import Ledger, read_ledger
from sandbox.emulator.losses import Losses
from sandbox.emulator.retries import RetrySchedule
from sandbox.emulator.sender import Sender, SendOptions, Tally
from sandbox.emulator.traffic.model import Callback, StatusCallback, Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.population import campaigns
from sandbox.emulator.traffic.schedule import schedule
from sandbox.stack import Sandbox

_LOOK_SECONDS: Final = 0.4
_STILL_LOOKS: Final = 10
_CONNECTIONS: Final = 48
_PROGRESS: Final = """
SELECT campaign_tracking_id, messages_final, messages_delivered, campaign_status
FROM campaigns"""
_CAMPAIGNS: Final = """
SELECT name, strategy, total_recipients, messages, parts, messages_delivered, delivery_rate,
       reconciliation, drift, price_total
FROM campaigns
ORDER BY first_received_at"""
_HEALED: Final = "SELECT countIf(s.source = 'pull') AS healed FROM sms AS s"


Rows = dict[str, dict[str, Any]]
"""Campaigns by their tracking id."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look while traffic flows: callbacks sent, and the rows of ClickHouse by campaign."""

    tally: Tally
    seconds: float
    campaigns: Rows


Show = Callable[[Look], None]


def traffic_options(seed: int, callback_url: str, recipients: int) -> TrafficOptions:
    """Return the demo's traffic: four campaigns of both strategies, singles, and more faults than in real life."""
    return TrafficOptions(
        seed,
        callback_url,
        campaigns=4,
        recipients=recipients,
        singles=recipients // 4,
        strategies=(Strategy.ON_CHANGE, Strategy.ON_COMPLETION),
        conflicts=0.001,
        malformed=0.003,
    )


class Run:
    """One run of the demo in a sandbox that is up; its ledger lies in the sandbox's folder."""

    def __init__(self, sandbox: Sandbox, traffic: TrafficOptions, start: int, rate: float) -> None:
        self.campaigns = campaigns(traffic, start)
        self._sandbox = sandbox
        self._sources = replace(
            sources_of(sandbox.settings),
            ingest_metrics=f"{sandbox.addresses.pages['ingest']}/metrics",
            streams_metrics=f"{sandbox.addresses.pages['streams']}/metrics",
        )
        self.clickhouse = self._sources.clickhouse
        self._ledger = sandbox.settings.sandbox_dir / "ledger.ndjson"
        self._traffic = traffic
        self._start = start
        self._rate = rate

    async def send(self, show: Show, swallow: Callable[[Callback], bool] | None) -> Tally:
        """Send all traffic and wait until ClickHouse has the end of it; `show` is called a few times a second."""
        options = SendOptions(self._rate, RetrySchedule(0.01), _CONNECTIONS, swallow)
        began = time.monotonic()
        with Ledger(self._ledger) as ledger:
            ledger.open(self._traffic, self._start)
            sender = Sender(Target.parse(self._traffic.callback_url), ledger, options)
            sending = asyncio.create_task(sender.send(schedule(self._traffic, self._start)))
            while not sending.done():
                await asyncio.wait([sending], timeout=_LOOK_SECONDS)
                show(Look(sender.tally, time.monotonic() - began, await self._rows()))
            await sending
            ledger.close(complete=True)
        took = time.monotonic() - began
        await self._arrive(lambda rows: show(Look(sender.tally, took, rows)))
        return sender.tally

    def losses(self) -> Losses:
        """Return the choice of the callbacks that only the backfill can make good."""
        return losses(self._traffic, self._start)

    async def heal(self) -> int:
        """Ask Routee for what no callback told; return how many requests it took."""
        return await heal(self._sandbox, self._traffic, self._start)

    def audit(self, *, backfilled: bool) -> Audit:
        """Hold topics, tables and metrics against the ledger, once the pipeline is quiet."""
        return audit(read_ledger(self._ledger, backfilled=backfilled), self._sources, quiet_seconds=6.0)

    def healed(self) -> int:
        """Return how many SMS have their status from Routee's answers."""
        ((count,),) = (row.values() for row in self.clickhouse.rows(_HEALED))
        return int(count)

    def table(self) -> list[dict[str, Any]]:
        """Return the campaigns as ClickHouse has them."""
        return list(self.clickhouse.rows(_CAMPAIGNS))

    async def _arrive(self, show: Callable[[Rows], None]) -> None:
        """Go on showing until every message is final, or the counts stop moving."""
        rows: Rows = {}
        still = 0
        while not self._is_complete(rows) and still < _STILL_LOOKS:
            await asyncio.sleep(_LOOK_SECONDS)
            before, rows = rows, await self._rows()
            still = still + 1 if rows == before else 0
            show(rows)

    def _is_complete(self, rows: Rows) -> bool:
        final = {key: row["messages_final"] for key, row in rows.items()}
        return all(final.get(campaign.tracking_id) == campaign.recipients for campaign in self.campaigns)

    async def _rows(self) -> Rows:
        return await asyncio.to_thread(self._look)

    def _look(self) -> Rows:
        with suppress(SourceError):  # the next look will do
            return {row["campaign_tracking_id"]: row for row in self.clickhouse.rows(_PROGRESS)}
        return {}


class SwallowOne:
    """
    Picks the first final status of a campaign's SMS, and every copy of it, to be lost silently.

    `sms_key` is that SMS, None before.
    """

    def __init__(self) -> None:
        self.sms_key: str | None = None
        self._said: tuple[str, str] | None = None

    def __call__(self, callback: Callback) -> bool:
        """Return whether this callback is to be lost."""
        subject = callback.subject
        if not isinstance(subject, StatusCallback) or not subject.message.campaign:
            return False
        said = subject.part.sms_id, subject.change.status.value
        if self._said is None and subject.change is subject.part.changes[-1]:
            self._said = said
            self.sms_key = subject.message.sms_key(subject.part)
        return said == self._said
