"""
The losses of the demo and their healing: `routee-ingest backfill` asks the emulated Routee for what no callback told.
"""

import asyncio
from typing import Final

from sandbox.emulator.losses import Losses
from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.options import APPLICATION_ID, APPLICATION_SECRET, PullOptions
from sandbox.emulator.pull.server import PullApi
from sandbox.emulator.traffic.bodies import iso
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.population import campaigns
from sandbox.stack import Sandbox

SHARE: Final = 0.05
"""Of all callbacks, those that never come although Routee takes them for told."""

_OUTAGE: Final = (60.0, 70.0)
"""In seconds of Routee's time after the first campaign began: then no callback comes at all."""

_SECONDS: Final = 180.0


def losses(traffic: TrafficOptions, start: int) -> Losses:
    """Return the choice of the callbacks that get lost."""
    first = min(campaign.started_at for campaign in campaigns(traffic, start))
    return Losses(traffic.seed, SHARE, *(first + seconds for seconds in _OUTAGE))


async def heal(sandbox: Sandbox, traffic: TrafficOptions, start: int) -> int:
    """Run the backfill to its end, and return how many requests it took; StartError when it failed."""
    books = Books(traffic, start)
    books.end()
    routee = PullApi(books, PullOptions(), traffic.seed)
    await routee.start()
    environment = {
        "ROUTEE_APPLICATION_ID": APPLICATION_ID,
        "ROUTEE_APPLICATION_SECRET": APPLICATION_SECRET,
        "ROUTEE_API_URL": routee.url,
        "ROUTEE_AUTH_URL": routee.url,
        "BACKFILL_REQUESTS_PER_SECOND": "50",
        "BACKFILL_GRACE_SECONDS": "0",
    }
    command = ("routee-ingest", "backfill", "--from", iso(start))
    try:
        await asyncio.to_thread(sandbox.run, "backfill", command, environment, _SECONDS)
    finally:
        await routee.close()
    return routee.asked.total()
