"""
How long the analysts' views take over millions of SMS.

That is asked three times: right after all SMS were inserted as fast as possible, after the background merges that this
leaves behind, and while a sink goes on inserting. The views over the cells of deliveries are asked for a day, 31 days
and all 90, beside these SMS: after the merges, and while a sink inserts SMS and tells cells anew.

`python -m tests.bench.views --help`. Each SMS has two revisions, one in five is a part of a longer message, one in
twenty never came to an end; they are spread over a month, twenty countries, sixty operators and forty campaigns.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.ports import free_port
from sinks.cli import run_schema
from sinks.clickhouse.client import INSERT_SETTINGS, ClickHouse, connect
from sinks.settings import SinksSettings
from tests.bench.measuring import say

_LIMIT_SECONDS: Final = 1.0
_SPANS: Final = {1: 0.2, 31: 1.0, 90: 3.0}
"""Days → seconds that a view over the cells may take for them."""
_BY_MONTH: Final = "cost_by_month"
_OF_MONTHS: Final = {1: 31, 31: 90, 90: 90}
"""Days → the span whose limit a view by month has: it is asked for the whole months in which these days lie."""
_ROWS_AT_ONCE: Final = 100_000
_MERGED_SECONDS: Final = 60.0
_ROWS_PER_SECOND: Final = 5_000
_CALM_SECONDS: Final = 5.0
"""Of a sink's inserts, before anything is asked."""

# One level of numbers: what a column's value depends on is seen at once.
INSERT: Final = """
INSERT INTO sms_inbox
(
    sms_key, message_id, sms_id, campaign_tracking_id, campaign_name, part, parts, label, recipient, sender,
    country, operator, groups, status, previous_status, is_final, detailed_status, status_description,
    status_updated_at, queued_at, sent_at, final_at, latency_seconds, price, application_name, direction,
    originating_service, message, revision, conflicts, first_received_at, received_at, `partition`, `offset`,
    `index`, generation, message_status, message_previous_status, message_is_final, message_parts,
    message_parts_seen, message_latency_seconds, message_price, message_revision, sending_at, sent_from
)
WITH
    intHash64(number) AS chance,
    number % 10 IN (0, 1) AS is_long,
    if(is_long, intDiv(number, 2), number) AS whole,
    toDateTime64('2026-10-23 00:00:00', 3, 'UTC') + toIntervalSecond(intDiv(number * 2592000, {sms})) AS at,
    {revision} > 1 AND chance % 20 != 0 AS ended,
    chance % 100 AS percent,
    multiIf(percent < 90, 'Delivered', percent < 95, 'Undelivered', percent < 98, 'Failed', 'Unsent') AS fate
SELECT
    hex(sipHash128(number)) AS sms_key, hex(sipHash128(whole, is_long)) AS message_id, sms_key AS sms_id,
    concat('c0ffee00-0000-4000-8000-', leftPad(toString(intDiv(number * 40, {sms})), 12, '0')) AS campaign_tracking_id,
    concat('Autumn sale ', toString(intDiv(number * 40, {sms}))) AS campaign_name,
    if(is_long, 1 + number % 2, 1) AS part, if(is_long, 2, 1) AS parts, NULL AS label,
    concat('+3069', leftPad(toString(number), 8, '0')) AS recipient,
    concat('Sender', toString(chance % 9)) AS sender, concat('C', toString(chance % 20)) AS country,
    concat('Operator ', toString(chance % 60)) AS operator, ['customers'] AS groups,
    if(ended, fate, 'Sent') AS status, 'Queued' AS previous_status, ended AS is_final,
    if(ended AND fate != 'Delivered', concat('Reason ', toString(chance % 11)), NULL) AS detailed_status,
    NULL AS status_description, at + toIntervalSecond(chance % 30) AS status_updated_at,
    at AS queued_at, at AS sent_at,
    if(ended, at + toIntervalSecond(chance % 30), NULL) AS final_at, if(ended, chance % 30, 0) AS latency_seconds,
    toDecimal64(0.036, 8) AS price,
    'default' AS application_name, 'Outbound' AS direction, 'Sms' AS originating_service,
    'Dear customer, the autumn sale starts tomorrow at nine in all our shops. Text STOP to hear no more.' AS message,
    {revision} AS revision, chance % 1000 = 0 AS conflicts, at AS first_received_at,
    at + toIntervalSecond({revision}) AS received_at, chance % 8 AS `partition`, number AS `offset`, 0 AS `index`,
    whole AS generation,
    if({revision} > 1 OR part = parts, status, 'Sent') AS message_status, NULL AS message_previous_status,
    ended AND part = parts AS message_is_final, parts AS message_parts,
    if({revision} > 1, parts, part) AS message_parts_seen, latency_seconds AS message_latency_seconds,
    price * message_parts_seen AS message_price, ({revision} - 1) * parts + part AS message_revision,
    at AS sending_at, 'queued' AS sent_from
FROM numbers({first}, {rows})
"""
_FIRST_DAY: Final = "2026-08-25"
_WINDOWS: Final = 90 * 288
_CELLS_AT_ONCE: Final = 50_000
"""So few that merges join nearly all of them, as they do a sink's: FINAL takes a part that was never merged apart."""
_CELLS_PER_SECOND: Final = 500

# A cell has a country with one of its three operators, a sender, an application and a label.
_INSERT_CELLS: Final = """
INSERT INTO delivery_inbox
WITH
    {cell} AS place,
    intDiv(place * {windows}, {cells}) AS window,
    intHash32(place - intDiv(window * {cells}, {windows})) AS route,
    toDateTime64('{first_day} 00:00:00', 3, 'UTC') + toIntervalMinute(5 * window) AS at,
    concat('C', toString(route % 20)) AS of_country, concat('Operator ', toString(route % 60)) AS of_operator,
    concat('Sender', toString(route % 97)) AS of_sender, concat('App ', toString(route % 7)) AS of_application,
    concat('Label ', toString(route % 50)) AS of_label,
    1 + intHash64(place) % 30 AS amount, intDiv(amount * 9, 10) AS good
SELECT
    concat(toString(intDiv(toUnixTimestamp(at), 300)), ':["', of_country, '","', of_operator, '","', of_sender, '","',
        of_application, '","Sms","', of_label, toString(place), '"]') AS cell,
    at AS window_start, at + toIntervalMinute(5) AS window_end, of_country AS country, of_operator AS operator,
    of_sender AS sender, of_application AS application_name, 'Sms' AS originating_service, of_label AS label,
    amount AS messages,
    mapFilter((status, n) -> n > 0, map('Delivered', good, 'Undelivered', amount - good)) AS messages_by_status,
    amount AS parts, messages_by_status AS parts_by_status, 0 AS conflicts,
    mapFilter((bound, n) -> n > 0, map('5', intDiv(good, 2), '10', good - intDiv(good, 2) - intDiv(good, 7),
        '60', intDiv(good, 7))) AS delivered_by_latency,
    toDecimal64(0.03, 8) * amount AS price_total, toDecimal64(0.03, 8) * good AS price_delivered,
    price_total - price_delivered AS price_undelivered, 0 AS unpriced, false AS is_closed, {revision} AS revision,
    1 AS generation
FROM numbers({first}, {rows})
"""
_DISK: Final = """
SELECT sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND table = 'delivery_windows' AND active
"""
_OF_CELLS: Final = (
    *("delivery_by_country", "delivery_by_operator", "delivery_by_sender", "delivery_by_application"),
    *("delivery_by_label", "delivery_by_hour", "sla_by_operator", "latency_by_operator"),
    *("cost_by_country", "cost_by_day", _BY_MONTH),
)
_VIEWS: Final = {
    "messages": "SELECT count(), countIf(is_final), sum(price) FROM messages",
    "campaigns": "SELECT * FROM campaigns",
    "stuck_messages": "SELECT count(), max(age_seconds) FROM stuck_messages(older_than_seconds = 3600)",
    "missing_parts": "SELECT count(), sum(length(missing)) FROM missing_parts",
    **{
        view: f"SELECT * FROM {view}"  # noqa: S608 - names of ours
        for view in (
            "delivery_by_final_hour",
            "failure_reasons",
            "campaign_reconciliation",
            "campaign_by_operator",
            "campaign_curve",
            "cost_by_campaign",
            "strategy_by_application",
            "conflicting_finals",
        )
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print the tables; 1 when a view takes longer than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.views", description=__doc__)
    parser.add_argument("--sms", type=int, default=5_000_000)
    parser.add_argument("--cells", type=int, default=26_000_000, help="of 90 days")
    parser.add_argument("--runs", type=int, default=3, help="runs of each query, of which the median is shown")
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        ClickHouseServer(Path(folder), free_port()) as server,
    ):
        settings = SinksSettings(clickhouse_url=server.url, clickhouse_user=server.user)
        run_schema(settings)
        slow = [_table(settings, given), _table_of_cells(settings, given)]
        return max(slow)


def _table(settings: SinksSettings, given: argparse.Namespace) -> int:
    clickhouse = connect(settings)
    began = time.monotonic()
    for first in range(0, given.sms, _ROWS_AT_ONCE):
        for revision in (1, 2):
            _insert(clickhouse, given.sms, revision, first, min(_ROWS_AT_ONCE, given.sms - first))
    say(f"{given.sms:,} SMS of two revisions in {time.monotonic() - began:.0f} s")
    fresh = _times(clickhouse, given.runs)
    parts = _parts(clickhouse)
    _wait_for_merges(clickhouse)
    merged = _times(clickhouse, given.runs)
    merged_parts = _parts(clickhouse)
    with _Flow(connect(settings), given.sms):
        time.sleep(_CALM_SECONDS)
        flowing = _times(clickhouse, given.runs)
    say(f"{'milliseconds':28} {'at once':>10} {'merged':>10} {f'{_ROWS_PER_SECOND:,}/s':>10}")
    say(f"{'parts':28} {parts:10} {merged_parts:10} {_parts(clickhouse):10}")
    for view in _VIEWS:
        say(f"{view:28} {fresh[view] * 1000:10.0f} {merged[view] * 1000:10.0f} {flowing[view] * 1000:10.0f}")
    return 0 if max(*fresh.values(), *merged.values(), *flowing.values()) < _LIMIT_SECONDS else 1


def _table_of_cells(settings: SinksSettings, given: argparse.Namespace) -> int:
    clickhouse = connect(settings)
    began = time.monotonic()
    for first in range(0, given.cells, _CELLS_AT_ONCE):
        _insert_cells(clickhouse, given.cells, "number", first, min(_CELLS_AT_ONCE, given.cells - first), 1)
    _wait_for_merges(clickhouse)
    disk = clickhouse.value(_DISK) / given.cells
    say(f"{given.cells:,} cells of 90 days in {time.monotonic() - began:.0f} s, {disk:.0f} bytes on disk each")
    merged = _times_of_spans(clickhouse, given.runs)
    with _Flow(connect(settings), given.sms, given.cells):
        time.sleep(_CALM_SECONDS)
        flowing = _times_of_spans(clickhouse, given.runs)
    heads = [f"{days} days{when}" for when in ("", ", inserts") for days in _SPANS]
    say(f"{'milliseconds':28} " + " ".join(f"{head:>16}" for head in heads))
    for view in _OF_CELLS:
        times = [found[view, days] for found in (merged, flowing) for days in _SPANS]
        say(f"{view:28} " + " ".join(f"{seconds * 1000:16.0f}" for seconds in times))
    return 0 if all(found[asked] < _limit(*asked) for found in (merged, flowing) for asked in found) else 1


def _limit(view: str, days: int) -> float:
    return _SPANS[_OF_MONTHS[days] if view == _BY_MONTH else days]


def _times_of_spans(clickhouse: ClickHouse, runs: int) -> dict[tuple[str, int], float]:
    return {
        (view, days): median(_seconds(clickhouse, _asked(view, days)) for _ in range(runs))
        for view in _OF_CELLS
        for days in _SPANS
    }


def _asked(view: str, days: int) -> str:
    """Return the query for the last days of a view; for a month, for as many as have one of these days."""
    day = "month" if view == _BY_MONTH else "day"
    since = f"toDate('{_FIRST_DAY}') + {90 - days}"
    since = f"toStartOfMonth({since})" if day == "month" else since
    # All rows and columns are made, and thrown away: a client's part is not measured.
    return f"SELECT * FROM {view} WHERE {day} >= {since} FORMAT Null"  # noqa: S608 - names of ours


def _insert_cells(  # noqa: PLR0917 - of the statement
    clickhouse: ClickHouse, cells: int, cell: str, first: int, rows: int, revision: int
) -> None:
    statement = _INSERT_CELLS.format(
        cells=cells, cell=cell, first=first, rows=rows, revision=revision, windows=_WINDOWS, first_day=_FIRST_DAY
    )
    settings = ", ".join(f"{name} = '{value}'" for name, value in INSERT_SETTINGS.items())
    clickhouse.execute(f"{statement} SETTINGS {settings}")


class _Flow:
    """
    Inserts once a second, for the length of the block: new SMS, and the second revisions of those before.

    With cells, some of the last two days are told anew, too.
    """

    def __init__(self, clickhouse: ClickHouse, sms: int, cells: int = 0) -> None:
        self._clickhouse = clickhouse
        self._sms = sms
        self._cells = cells
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> None:
        self._inserted = self._pool.submit(self._insert_regularly)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._pool.shutdown()
        self._inserted.result()

    def _insert_regularly(self) -> None:
        rows, began = _ROWS_PER_SECOND // 2, time.monotonic()
        for second in count():
            if self._ended.wait(max(0.0, began + second - time.monotonic())):
                return
            first = self._sms + second * rows
            # In one insert, as a sink does.
            _insert(self._clickhouse, self._sms, f"if(number < {first}, 2, 1)", first - rows, 2 * rows)
            if self._cells:
                told = f"{self._cells} - 1 - intHash64(number) % {self._cells // 45}"
                _insert_cells(self._clickhouse, self._cells, told, second * rows, _CELLS_PER_SECOND, second + 2)


def _insert(clickhouse: ClickHouse, sms: int, revision: int | str, first: int, rows: int) -> None:
    # In blocks as large as the sink's, so that the parts are as large as the sink's.
    names = {**INSERT_SETTINGS, "max_block_size": "20000", "min_insert_block_size_rows": "20000", "max_threads": "1"}
    settings = ", ".join(f"{name} = '{value}'" for name, value in names.items())
    clickhouse.execute(f"{INSERT.format(sms=sms, revision=revision, first=first, rows=rows)} SETTINGS {settings}")


def _times(clickhouse: ClickHouse, runs: int) -> dict[str, float]:
    return {view: median(_seconds(clickhouse, sql) for _ in range(runs)) for view, sql in _VIEWS.items()}


def _seconds(clickhouse: ClickHouse, sql: str) -> float:
    began = time.perf_counter()
    if sql.endswith("FORMAT Null"):
        clickhouse.execute(sql)
    else:
        clickhouse.rows(sql)
    return time.perf_counter() - began


def _parts(clickhouse: ClickHouse) -> int:
    sql = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'sms_status' AND active"
    return int(clickhouse.rows(sql)[0][0])


def _wait_for_merges(clickhouse: ClickHouse) -> None:
    deadline = time.monotonic() + _MERGED_SECONDS
    while clickhouse.rows("SELECT count() FROM system.merges") != [(0,)] and time.monotonic() < deadline:
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
