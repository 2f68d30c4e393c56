"""
The README's queries run as they stand there.
"""

import re
from pathlib import Path

import pytest

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.sink import ClickHouseSink
from sinks.source import MemoryRecord
from streams.contract.codec import encode
from tests.behaviour.sinks.records import campaign, final, rejection, sms

pytestmark = pytest.mark.clickhouse

README = (Path(__file__).parents[3] / "sinks" / "README.md").read_text()
QUERIES = re.findall(r"-- (\d+)\. .*\n(SELECT .*);", README)


def test_there_are_ten_of_them() -> None:
    assert [int(number) for number, _ in QUERIES] == list(range(1, 11))


def test_they_run_as_they_stand(tables: ClickHouse) -> None:
    sink = ClickHouseSink(tables)
    records = [
        ("sms_status", encode(sms("a"))),
        ("sms_status", encode(final("a", "Delivered"))),
        ("sms_status", encode(final("b", "Failed", detailed_status="InvalidNumber"))),
        ("campaign_progress", encode(campaign("one"))),
        ("rejected_callbacks", encode(rejection())),
    ]
    for offset, (table, value) in enumerate(records):
        sink.write(table, [MemoryRecord("topic", 0, offset, 0, value)])
    rows = {number: len(tables.rows(sql)) for number, sql in QUERIES}
    del rows["4"]  # it looks at today, whatever that is
    # Query 2 looks at countries with more SMS than these.
    assert rows == {"1": 1, "2": 0, "3": 1, "5": 1, "6": 1, "7": 1, "8": 1, "9": 3, "10": 1}
