"""
Searches among millions of SMS, each of them another one; and what the indexes of the search cost an insert.
"""

import argparse
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import quote

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.ports import free_port
from sinks.cli import run_schema
from sinks.clickhouse.client import INSERT_SETTINGS, ClickHouse, connect
from sinks.settings import SinksSettings
from tests.bench import measuring, views
from tests.bench.console.process import console
from tests.bench.measuring import quantile, say

_LIMIT_MS: Final = 300.0
_ROWS_AT_ONCE: Final = 500_000
_AGAIN: Final = 500_000
"""SMS with a second revision, whose rows are in two parts."""
_QUESTIONS: Final = 30
_CALM_SECONDS: Final = 60.0
# Half of them have a label of many, a fifth one of their own.
_LABEL: Final = """
    multiIf(number % 5 = 0, concat('order ', toString(number)), number % 5 < 3, 'newsletter', NULL) AS label
"""
_INDEXES: Final = ("sms_id_head_bloom", "label_bloom")
_BLOCKS: Final = 8
_BLOCK_ROWS: Final = 20_000
_ROUNDS: Final = 5


def searches(given: argparse.Namespace) -> int:
    """Print how long the page of search takes; 1 when a kind of question takes longer than it may."""
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        ClickHouseServer(Path(folder), free_port()) as server,
    ):
        settings = SinksSettings(clickhouse_url=server.url, clickhouse_user=server.user)
        run_schema(settings)
        clickhouse = connect(settings)
        _fill(settings, given.sms)
        say(_disk(clickhouse))
        with console(Path(folder), CLICKHOUSE_URL=server.url) as (address, _):
            say(f"{'milliseconds of a page':28} {'p50':>8} {'p90':>8} {'most':>8}")
            slowest = 0.0
            for kind, asked in _questions(clickhouse, given.sms).items():
                took = [_seconds(f"{address}/search?q={quote(one, safe='')}", kind) * 1000 for one in asked]
                slowest = max(slowest, quantile(took, 0.9))
                say(f"{kind:28} {median(took):8.0f} {quantile(took, 0.9):8.0f} {max(took):8.0f}")
    return int(slowest >= _LIMIT_MS)


def _fill(settings: SinksSettings, sms: int) -> None:
    began = time.monotonic()
    pieces = [(1, first) for first in range(0, sms, _ROWS_AT_ONCE)]
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda piece: _insert(settings, sms, *piece), pieces):
            pass
    _insert(settings, sms, 2, max(0, sms - _AGAIN))
    inserted = time.monotonic() - began
    clickhouse = connect(settings)
    deadline = time.monotonic() + _CALM_SECONDS
    while clickhouse.value("SELECT count() FROM system.merges") and time.monotonic() < deadline:
        time.sleep(0.5)
    count = clickhouse.value("SELECT count() FROM sms")
    say(f"{count:,} SMS, inserted within {inserted:.0f} s")


def _insert(settings: SinksSettings, sms: int, revision: int, first: int, rows: int = _ROWS_AT_ONCE) -> None:
    names = {**INSERT_SETTINGS, "max_block_size": str(rows), "min_insert_block_size_rows": str(rows)}
    set_to = ", ".join(f"{name} = '{value}'" for name, value in {**names, "max_threads": "1"}.items())
    statement = views.INSERT.replace("NULL AS label", _LABEL)
    connect(settings).execute(
        f"{statement.format(sms=sms, revision=revision, first=first, rows=min(rows, sms))} SETTINGS {set_to}"
    )


def _questions(clickhouse: ClickHouse, sms: int) -> dict[str, list[str]]:
    """Return questions by their kind, spread over all SMS."""
    step = sms // _QUESTIONS
    wanted = ", ".join(f"'+3069{number:08}'" for number in range(step // 2, sms, step))
    rows = clickhouse.rows(f"SELECT message_id, sms_id, recipient FROM sms WHERE recipient IN ({wanted})")  # noqa: S608 - numbers of ours
    heads = ("number", "message id", "its first 8", "SMS id", "its first 8 characters")
    found = zip(*((row[2], row[0], row[0][:8].lower(), row[1], row[1][:8].lower()) for row in rows), strict=True)
    orders = [f"order {number - number % 5}" for number in range(step // 3, sms, step)]
    return {
        **dict(zip(heads, map(list, found), strict=True)),
        "label of one SMS": orders,
        "label of many": ["newsletter"] * 3,
        "no such number": [f"+4479{number:08}" for number in range(_QUESTIONS)],
        "no such label": [f"nothing {number}" for number in range(_QUESTIONS)],
    }


def _seconds(url: str, kind: str) -> float:
    time.sleep(1.1 if kind == "label of many" else 0)  # an answer is kept for a second
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own program
        body = answer.read().decode()
    took = time.perf_counter() - began
    is_known = "/messages/" in body
    if is_known == kind.startswith("no such"):
        raise RuntimeError(f"{kind}: {url} does not show what is there")
    return took


def _disk(clickhouse: ClickHouse) -> str:
    table = clickhouse.value(
        "SELECT sum(bytes_on_disk) FROM system.parts "
        "WHERE database = currentDatabase() AND table = 'sms_status' AND active"
    )
    sizes = clickhouse.rows(
        "SELECT name, data_compressed_bytes FROM system.data_skipping_indices "
        "WHERE database = currentDatabase() AND table = 'sms_status' ORDER BY name"
    )
    of_search = sum(size for name, size in sizes if name in _INDEXES)
    return f"sms_status {table / 1e6:,.0f} MB on disk, of which the indexes of the search {of_search / 1e6:.1f} MB"


def inserts(given: argparse.Namespace) -> int:
    """Print what the indexes add to the processor time of inserts and merges, in turns with and without them."""
    del given
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        ClickHouseServer(Path(folder), free_port()) as server,
    ):
        made = [*_databases(server)]
        pid = server.process.pid
        spent: list[list[float]] = [[], []]
        for turn in range(_ROUNDS):
            for which in (0, 1) if turn % 2 else (1, 0):
                spent[which].append(_round(made[which], pid, turn))
        without, with_them = (median(sorted(found[1:])) for found in spent)  # the first warms up
        say(f"CPU s of the engine for {_BLOCKS * _BLOCK_ROWS:,} rows, inserted and merged, each of two tables in turns")
        say(f"without the indexes {without:.2f}, with them {with_them:.2f}: {with_them / without - 1:+.1%}")
    return 0


def _databases(server: ClickHouseServer) -> Iterator[SinksSettings]:
    for name in ("without", "indexed"):
        settings = SinksSettings(clickhouse_url=server.url, clickhouse_user=server.user, clickhouse_database=name)
        run_schema(settings)
        if name == "without":
            for index in _INDEXES:
                connect(settings).execute(f"ALTER TABLE sms_status DROP INDEX {index}")
        yield settings


def _round(settings: SinksSettings, pid: int, turn: int) -> float:
    """Return the processor time of blocks as large as the sink's, and of the merges that they lead to."""
    clickhouse = connect(settings)
    before = measuring.cpu_seconds(pid)
    for block in range(_BLOCKS):
        _insert(settings, 10_000_000, 1, (turn * _BLOCKS + block) * _BLOCK_ROWS, _BLOCK_ROWS)
    for table in ("sms_status", "sms_status_history", "message_status", "sms_lives"):
        clickhouse.execute(f"OPTIMIZE TABLE {table}")
    while clickhouse.value("SELECT count() FROM system.merges"):
        time.sleep(0.1)
    return measuring.cpu_seconds(pid) - before
