"""
The promises of the names of files.
"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.files.layout import draft_name, partition_of_draft, runs
from streams.program.file_names import parse_name
from tests.unit.sinks.records import DAY_MS, offsets, record


def test_a_file_is_named_by_partition_and_offsets_in_the_folder_of_its_day() -> None:
    (run,) = runs([record(5, partition=3, timestamp=DAY_MS), record(9, partition=3, timestamp=2 * DAY_MS - 1)])
    assert (run.folder, run.name("parquet"), run.name("ndjson")) == (
        "date=1970-01-02",
        "3-5-9.parquet",
        "3-5-9.ndjson.gz",
    )


def test_the_day_changes_at_midnight_utc() -> None:
    found = list(runs([record(0, timestamp=DAY_MS - 1), record(1, timestamp=DAY_MS)]))
    assert [run.day for run in found] == [date(1970, 1, 1), date(1970, 1, 2)]


def test_a_clock_that_jumps_over_midnight_and_back_makes_short_runs() -> None:
    found = list(runs([record(n, timestamp=time) for n, time in enumerate([0, DAY_MS, 0, 0, DAY_MS])]))
    assert [offsets(run.rows) for run in found] == [[0], [1], [2, 3], [4]]


@given(st.lists(st.integers(0, 3 * DAY_MS), min_size=1, max_size=50))
def test_runs_hold_every_row_once_in_order_and_one_day_each(times: list[int]) -> None:
    rows = [record(n, timestamp=time) for n, time in enumerate(times)]
    found = list(runs(rows))
    assert [row for run in found for row in run.rows] == rows
    assert all({row.timestamp // DAY_MS for row in run.rows} == {(run.day - date(1970, 1, 1)).days} for run in found)


@pytest.mark.parametrize(("name", "file_format"), [("3-5-9.parquet", "parquet"), ("3-5-9.ndjson.gz", "ndjson")])
def test_the_name_is_the_position_after_its_last_row(name: str, file_format: str) -> None:
    parsed = parse_name(name)
    assert parsed == (3, 5, 9, file_format)
    assert parsed.position == 10


@pytest.mark.parametrize(
    "name",
    [".3-5-9.parquet.tmp", "3-5-9.parquet.tmp", "3-5.parquet", "x-5-9.parquet", ".lock-3", ".source.json", "notes.txt"],
)
def test_other_names_are_no_position(name: str) -> None:
    assert parse_name(name) is None


def test_the_name_of_a_draft_tells_its_partition() -> None:
    assert partition_of_draft(draft_name("3-5-9.parquet")) == 3
    assert partition_of_draft("3-5-9.parquet") is None
