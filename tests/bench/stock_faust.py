"""
The worker of Faust's documentation, for a smaller job than ours: one record per callback, one agent, two tables.

No envelopes, no records for others, 9 fields instead of 20, counts that a crash can falsify. It is the yardstick: run
by `tests.bench.streams` as a program of its own, it prints its figures as JSON and ends after so many callbacks; told
to wait for none, it prints how many rows it has restored from its changelog, and ends.
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
_STILL_SECONDS: Final = 5.0


class _Progress:
    """How many callbacks were taken in since the first, and what that took, as of the last look."""

    def __init__(self) -> None:
        self.seen = 0
        self._began = self._cpu = 0.0
        self._marked: tuple[int, float, float] | None = None

    def begin(self) -> None:
        """Begin to measure, at the first call."""
        if not self._began:
            self._began, self._cpu = time.monotonic(), time.process_time()

    def mark(self) -> None:
        """Remember the work done until now."""
        self._marked = self.seen, time.monotonic() - self._began, time.process_time() - self._cpu

    def report_and_end(self) -> None:
        """Print the figures up to now, or, when nothing came since, up to the last mark; end the process."""
        if self._marked is None or self._marked[0] != self.seen:
            self.mark()
        items, seconds, cpu = self._marked or (0, 0.0, 0.0)
        _say(json.dumps({"items": items, "seconds": seconds, "cpu": cpu}))
        asyncio.get_running_loop().call_soon(os._exit, 0)


def app_id(topic: str) -> str:
    """Return the name of the app that reads a topic; its changelogs are named after it."""
    return f"{topic}-stock"


def changelog_row(message_id: str) -> tuple[bytes, bytes]:
    """Return key and value of a record of the changelog of the SMS, as this app writes it."""
    kept = {"messageId": message_id, "part": 1, "country": "GR", "operator": "Cosmote", "price": 0.0432, "latency": 3}
    row = {"status": "Delivered", "at": "2026-11-22T09:16:54Z", "campaign": message_id, **kept}
    return json.dumps(message_id).encode(), json.dumps(row).encode()


def build(servers: str, topic: str, partitions: int, wanted: int) -> faust.App:
    """Return an app that reads `wanted` callbacks from a topic and then ends; with none wanted, once it is restored."""
    app = faust.App(
        app_id(topic),
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

    progress = _Progress()

    async def process(callbacks: StreamT[Any]) -> None:
        async for callback in callbacks:
            progress.begin()
            _take(latest, counts, callback)
            progress.seen += 1
            if progress.seen == wanted:
                await app.consumer.commit()
                progress.report_and_end()

    async def watch() -> None:
        """Report without the rest: it may pass over records at its start, and would wait for them for ever."""
        before = progress.seen
        while True:
            await asyncio.sleep(_STILL_SECONDS)
            if progress.seen == before != 0:
                progress.report_and_end()
            before = progress.seen
            progress.mark()

    app.task(watch)
    app.agent(source)(process)

    async def restored() -> None:
        # Faust has begun a line of its own.
        _say(f"\n{len(latest)}")
        asyncio.get_running_loop().call_soon(os._exit, 0)

    if not wanted:
        latest.on_recover(restored)
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
