"""
What the documentation of Faust shows, for a smaller job than ours: one record per callback, one agent, two tables.

No envelopes, no records for others, 9 fields instead of 20, counts that a crash can falsify. It is the yardstick: run
by `tests.bench.streams` as a program of its own, it prints its figures as JSON and ends after so many callbacks.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any, Final

import faust
from faust.types import StreamT

_RANKS: Final = {"Queued": 1, "Sent": 2, "Delivered": 3}
_KEPT: Final = ("messageId", "part", "country", "operator", "price", "latency")


def build(servers: str, topic: str, partitions: int, wanted: int) -> faust.App:
    """Return an app that reads `wanted` callbacks from a topic and then ends."""
    app = faust.App(
        f"{topic}-stock",
        broker=f"kafka://{servers}",
        store="memory://",
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    source = app.topic(topic, key_type=str, key_serializer="raw", value_serializer="json", partitions=partitions)
    latest = app.Table("latest", partitions=partitions)
    counts = app.Table("counts", default=int, partitions=partitions)

    async def process(callbacks: StreamT[Any]) -> None:
        seen, started, cpu = 0, 0.0, 0.0
        async for callback in callbacks:
            if not seen:
                started, cpu = time.monotonic(), time.process_time()
            _take(latest, counts, callback)
            seen += 1
            if seen == wanted:
                await app.consumer.commit()
                figures = {"items": seen, "seconds": time.monotonic() - started, "cpu": time.process_time() - cpu}
                _say(json.dumps(figures))
                asyncio.get_running_loop().call_soon(os._exit, 0)

    app.agent(source)(process)
    return app


def _take(latest: Any, counts: Any, callback: dict[str, Any]) -> None:  # noqa: ANN401 - Faust's tables are not typed
    status = callback["status"]
    campaign = callback.get("campaignTrackingId") or ""
    old = latest.get(callback["smsId"])
    if old is not None and _RANKS[status["name"]] <= _RANKS[old["status"]]:
        return
    kept = {name: callback[name] for name in _KEPT}
    latest[callback["smsId"]] = {"status": status["name"], "at": status["updatedDate"], "campaign": campaign, **kept}
    counts[f"{campaign}|{status['name']}"] += 1
    if old is not None:
        counts[f"{campaign}|{old['status']}"] -= 1


def _say(line: str) -> None:
    # Faust takes standard output for its log.
    stream = sys.__stdout__ or sys.stderr
    stream.write(f"{line}\n")
    stream.flush()


if __name__ == "__main__":
    servers, topic, partitions, wanted = sys.argv[1:5]
    sys.argv = ["stock_faust", "worker", "--loglevel", "error"]
    build(servers, topic, int(partitions), int(wanted)).main()
