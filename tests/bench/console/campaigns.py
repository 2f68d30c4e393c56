"""
The page of campaigns among ten thousand of them: each question another page, name, filter or order.
"""

import argparse
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.ports import free_port
from sinks.cli import run_schema
from sinks.clickhouse.client import connect
from sinks.settings import SinksSettings
from streams.contract.codec import format_time
from tests.bench.console.process import console
from tests.bench.measuring import quantile, say
from tests.support.markdown import ROOT

_CAMPAIGNS: Final = 10_000
_RUNNING: Final = 50
_LIMIT_MS: Final = 200.0
_EXAMPLE: Final = ROOT / "streams" / "contract" / "examples" / "records" / "campaign.progress.json"
_QUESTIONS: Final = {
    "a page of 50": [f"?period=all&page={page}" for page in range(1, 190, 9)],
    "by name": [f"?period=all&name=sale+{number}" for number in range(17, 9_000, 451)],
    "by id": [f"?period=all&name=c0ffee00-0000-4000-8000-{number:012}" for number in range(17, 9_000, 451)],
    "by cost, from the least": [f"?period=all&sort=cost&order=asc&page={page}" for page in range(0, 190, 9)],
    "those behind": [f"?period=all&verdict=behind&page={page}" for page in range(20)],
}


def campaigns(given: argparse.Namespace) -> int:
    """Print how long the page takes; 1 when a kind of question takes longer than it may."""
    del given
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        ClickHouseServer(Path(folder), free_port()) as server,
    ):
        settings = SinksSettings(clickhouse_url=server.url, clickhouse_user=server.user)
        run_schema(settings)
        connect(settings).insert_json("campaign_inbox", (orjson.dumps(row) + b"\n" for row in _rows()))
        slowest = 0.0
        with console(Path(folder), CLICKHOUSE_URL=server.url) as (address, _):
            _milliseconds(address)
            say(f"{'milliseconds of a page':28} {'p50':>8} {'p90':>8} {'most':>8}")
            for kind, asked in _QUESTIONS.items():
                took = [_milliseconds(f"{address}/{one}") for one in asked]
                slowest = max(slowest, quantile(took, 0.9))
                say(f"{kind:28} {median(took):8.0f} {quantile(took, 0.9):8.0f} {max(took):8.0f}")
    return int(slowest >= _LIMIT_MS)


def _rows() -> Iterator[dict[str, Any]]:
    example, now = orjson.loads(_EXAMPLE.read_bytes())[0], datetime.now(UTC)
    for number in range(_CAMPAIGNS):
        at = now - timedelta(minutes=30 * number)
        yield example | {
            "campaign_tracking_id": f"c0ffee00-0000-4000-8000-{number:012}",
            "name": f"Autumn sale {number}",
            "is_final": number >= _RUNNING,
            "reconciliation": "behind" if number % 10 == 0 else "consistent",
            "first_received_at": format_time(at - timedelta(hours=1)),
            "last_received_at": format_time(at),
            "price_total": f"{number % 977}.5",
        }


def _milliseconds(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own program
        answer.read()
    return (time.perf_counter() - began) * 1000
