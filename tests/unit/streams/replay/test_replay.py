"""
The replay of an archive: the same version gives the same bytes, and a comparison finds every change of a rule.
"""

import errno
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple

import pyarrow.parquet
import pytest

from sinks.files.archive import archive_table
from sinks.files.layout import runs
from sinks.source import Record
from streams.cli import main
from streams.contract.codec import decode
from streams.contract.records import CampaignProgress, DeliveryWindow, Rejection, SmsStatus
from streams.contract.remembered import Results
from streams.domain.policy import Policy
from streams.errors import StreamsError, UsageError
from streams.program.archive import TABLE, Archived
from streams.replay.command import SUMMARY, replay
from streams.replay.compare import Difference, compare
from streams.replay.sources import ArchiveSource
from streams.settings import StreamsSettings
from tests.builders import campaign_report, envelope, sms_callback
from tests.support.every_verdict import verdict_load
from tests.unit.streams.domain.pipeline import Pipeline

NOON_MS: Final = 1_795_348_800_000


def archive(root: Path, *partitions: list[bytes]) -> Path:
    """Write an archive with these records, one a minute."""
    for number, values in enumerate(partitions):
        records = [Record("t", number, at, NOON_MS + at * 60_000, value) for at, value in enumerate(values)]
        for run in runs(records):
            folder = root / TABLE / run.folder
            folder.mkdir(parents=True, exist_ok=True)
            pyarrow.parquet.write_table(archive_table(run.rows), folder / run.name("parquet"))
    return root


def replayed(root: Path, into: Path, until_ms: int | None = None, **settings: Any) -> Path:  # noqa: ANN401 - of any kind
    replay(StreamsSettings(**settings), str(root), until_ms, into, pytest.fail)
    return into


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    found = [pyarrow.parquet.read_table(file, partitioning=None) for file in sorted((folder / table).glob("*.parquet"))]
    return [row for one in found for row in one.to_pylist()]


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_same_version_gives_the_same_bytes_also_by_several_processes(tmp_path: Path) -> None:
    root = archive(tmp_path / "archive", verdict_load(1), verdict_load(2))
    first, second = replayed(root, tmp_path / "a"), replayed(root, tmp_path / "b")
    assert content(first) == content(second)
    assert list(compare(first, second)) == []
    assert set(content(first)) == {
        SUMMARY, "campaigns/all.parquet", "windows/all.parquet",
        *(f"{table}/{number}.parquet" for table in ("sms", "messages", "rejections") for number in (0, 1)),
    }  # fmt: skip


def test_the_tables_have_what_the_stages_told_last(tmp_path: Path) -> None:
    """As the pipeline of the tests has it, which flushes once: but for revisions and times of the way there."""
    load = verdict_load(3)
    folder = replayed(archive(tmp_path / "archive", load), tmp_path / "a")
    pipeline = Pipeline()
    for offset, value in enumerate(load):
        pipeline.take_in(0, offset, value)
    pipeline.settle_deliveries()
    newest = {record["sms_key"]: record for record in pipeline.revisions}
    assert [row["sms_key"] for row in rows(folder, "sms")] == sorted(newest, key=str.encode)
    for row in rows(folder, "sms"):
        record = newest[row["sms_key"]]
        assert {name: row[name] for name in ("status", "price", "final_at", "revision", "offset")} == {
            name: record[name] for name in ("status", "price", "final_at", "revision", "offset")
        }
    assert len(rows(folder, "rejections")) == len(pipeline.rejections)
    by_id = {record["campaign_tracking_id"]: record for record in pipeline.of("campaign.progress")}
    for row in rows(folder, "campaigns"):
        record = by_id[row["campaign_tracking_id"]]
        assert {name: row[name] for name in ("messages", "parts", "price_total", "reconciliation")} == {
            name: record[name] for name in ("messages", "parts", "price_total", "reconciliation")
        }
        assert decode(row["messages_by_status"].encode()) == record["messages_by_status"]
    cells = {record["cell"]: record for record in pipeline.of("delivery.windows")}
    assert {row["cell"]: row["parts"] for row in rows(folder, "windows")} == {
        cell: record["parts"] for cell, record in cells.items()
    }


def test_the_columns_are_the_fields_of_the_records(tmp_path: Path) -> None:
    folder = replayed(archive(tmp_path / "archive", [envelope(sms_callback(), campaign_report())]), tmp_path / "a")
    place = {"partition", "offset"}
    for table, model, more in (
        ("sms", SmsStatus, set[str]()),
        ("campaigns", CampaignProgress, place),
        ("windows", DeliveryWindow, place),
    ):
        (row,) = rows(folder, table)
        assert set(row) == set(model.model_fields) | more
    assert rows(folder, "rejections") == []
    (message,) = rows(folder, "messages")
    assert (message["message_status"], message["message_parts"], message["offset"]) == ("Delivered", 1, 0)
    schema = pyarrow.parquet.read_schema(folder / "rejections" / "0.parquet")
    assert set(schema.names) == set(Rejection.model_fields)


def test_a_replay_ends_before_its_time(tmp_path: Path) -> None:
    load = [envelope(sms_callback(message_id=f"m-{number}", sms_id=f"s-{number}")) for number in range(4)]
    root = archive(tmp_path / "archive", load)
    assert len(rows(replayed(root, tmp_path / "a", until_ms=NOON_MS + 120_000), "sms")) == 2
    assert len(rows(replayed(root, tmp_path / "b"), "sms")) == 4
    found = {
        (one.table, one.what): (one.rows, one.place)
        for one in compare(tmp_path / "a", tmp_path / "b")
        if not one.column
    }
    assert found["sms", "only in B"] == (2, (0, 2, 0))
    assert found["messages", "only in B"] == (2, (0, 2, 0))


def test_records_that_are_missing_are_told(tmp_path: Path) -> None:
    root = archive(tmp_path / "archive", [envelope(sms_callback())])
    late = Record("t", 0, 7, NOON_MS + 60_000, envelope(sms_callback("Failed", "2026-11-22T09:17:00Z")))
    (run,) = runs([late])
    pyarrow.parquet.write_table(archive_table(run.rows), root / TABLE / run.folder / run.name("parquet"))
    said: list[object] = []
    replay(StreamsSettings(), str(root), None, tmp_path / "a", said.append)
    assert said == ["partition 0: 6 records between 0 and 7 are missing"]


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = archive(tmp_path / "archive", [envelope(sms_callback())])
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        replayed(root, tmp_path / "used")
    with pytest.raises(StreamsError, match="no folder raw_callbacks"):
        replayed(tmp_path, tmp_path / "a")
    assert main(["compare", str(tmp_path / "used"), str(root)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in told] == [
        f"it has no {SUMMARY}: name a folder that `routee-streams replay --into` wrote"
    ] * 2


def test_an_archive_without_files_is_one_line_and_makes_no_folder(tmp_path: Path) -> None:
    root = archive(tmp_path / "archive", [envelope(sms_callback())])
    for file in root.rglob("*.parquet"):
        file.unlink()
    with pytest.raises(StreamsError, match=r"^--from .*: it has no records$"):
        replayed(root, tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == [root]


def test_a_disk_that_is_full_is_one_line_and_the_next_replay_has_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = archive(tmp_path / "archive", [envelope(sms_callback())])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("streams.replay.command._merge", full)
        with pytest.raises(StreamsError, match=r"^--into .*/a: No space left on device$"):
            replayed(root, tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == [root]
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert len(rows(replayed(root, tmp_path / "link"), "sms")) == 1
    assert (tmp_path / "a" / SUMMARY).is_file()
    assert {one.name for one in tmp_path.iterdir()} == {"archive", "a", "link"}


class KilledSource(ArchiveSource):
    """The process that reads its records ends as by the kernel's killer."""

    def records(self, partition: int) -> Iterator[Archived]:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().records(partition)


def test_a_process_that_is_killed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = archive(tmp_path / "archive", [envelope(sms_callback())], [envelope(sms_callback())])
    monkeypatch.setattr("streams.replay.command.ArchiveSource", KilledSource)
    with pytest.raises(StreamsError, match=r"was killed: likely the machine is out of memory"):
        replayed(root, tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == [root]


def test_a_mount_is_refused_before_the_replay(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--into /proc: it is a mount"):
        replayed(tmp_path, Path("/proc"))


def rewritten(folder: Path, table: str, change: Callable[[pyarrow.Table], pyarrow.Table]) -> None:
    """Change a table of a replay as another version would."""
    for file in (folder / table).glob("*.parquet"):
        pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(file, partitioning=None)), file)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Return two replays of the same records; the names of their folders mean something to DuckDB."""
    root = archive(tmp_path / "archive", [envelope(sms_callback(), campaign_report())])
    (tmp_path / "ab").mkdir()
    return replayed(root, tmp_path / "a*" / "status=1"), replayed(root, tmp_path / "[b]")


def test_the_name_of_a_folder_has_no_meaning(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, two)]) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_columns_of_one_version_alone_are_differences_of_their_own(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two
    rewritten(first, "sms", lambda table: table.drop_columns(["price"]))
    more = pyarrow.array([True])
    rewritten(second, "sms", lambda table: table.append_column("more", more).append_column("none", pyarrow.nulls(1)))
    assert main(["compare", str(first), str(second)]) == 1
    (price,) = rows(second, "sms")
    assert price["price"] is not None
    assert capsys.readouterr().out.splitlines() == [
        "sms.price: a column only in B, 1 row with a value, the first at 0/0/0",
        "sms.more: a column only in B, 1 row with a value, the first at 0/0/0",
        "sms.none: a column only in B, without a value",
    ]


def test_the_columns_of_both_are_compared_beside_those_of_one(two: tuple[Path, Path]) -> None:
    first, second = two
    rewritten(first, "sms", lambda table: table.drop_columns(["price"]))
    status = pyarrow.array(["Unknown"])
    rewritten(first, "sms", lambda table: table.set_column(table.schema.get_field_index("status"), "status", status))
    assert [(one.column, one.what, one.rows) for one in compare(first, second)] == [
        ("price", "only in B", 1),
        ("status", "unlike", 1),
    ]


def test_a_column_of_another_type_is_compared_as_text(two: tuple[Path, Path]) -> None:
    first, second = two
    word = pyarrow.array(["a word"])
    rewritten(second, "sms", lambda table: table.set_column(table.schema.get_field_index("revision"), "revision", word))
    assert [(one.column, one.what, one.rows) for one in compare(first, second)] == [("revision", "unlike", 1)]


def test_a_key_or_a_table_of_one_version_alone_is_told(two: tuple[Path, Path]) -> None:
    first, second = two
    rewritten(first, "sms", lambda table: table.rename_columns({"sms_key": "sms_id_key"}))
    (second / "campaigns" / "all.parquet").unlink()
    assert [(one.table, one.column, one.what, one.rows) for one in compare(first, second)] == [
        ("sms", "sms_id_key", "only in A", 1),
        ("sms", "sms_key", "only in B", 1),
        ("campaigns", None, "only in A", 1),
    ]


def test_every_trouble_of_a_comparison_is_one_line_and_2(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 is a difference, as with `diff`."""
    first, second = two
    file = second / "messages" / "0.parquet"
    whole = file.read_bytes()
    # No footer, and a page that is not what the footer says.
    for damaged in (b"damaged", whole[:4] + bytes(len(whole) // 4) + whole[4 + len(whole) // 4 :]):
        file.write_bytes(damaged)
        assert main(["compare", str(first), str(second)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{file} cannot be read: ")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert main(["compare", str(first), str(second)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("it needs DuckDB: ")


class Change(NamedTuple):
    """A change of a rule: a text within a function of a module of the domain, and the text that takes its place."""

    module: str
    before: str
    after: str


CHANGES: Final = (
    Change("statuses", 'if rule == "first" and rank', 'if rule == "latest" and rank'),
    Change("statuses", "return rank, date, precedence, word", "return rank, -date, precedence, word"),
    Change("statuses", "if least[0] < FINAL_RANK", "if least[0] > FINAL_RANK"),
    Change("statuses", "earlier[1] != later[1] for", "earlier[1] == later[1] for"),
    Change("lifecycle", "not queued or date < queued", "not queued or date > queued"),
    Change("lifecycle", "sent = date\n    return queued, sent", "sent = date\n    return queued, 0"),
    Change("lifecycle", "    if is_ahead:\n        status", "    if not is_ahead:\n        status"),
    Change("lifecycle", "in known or len(known) >= _FINALS_KEPT", "in known or len(known) < _FINALS_KEPT"),
    Change("message_state", "details.latency_seconds > latency", "details.latency_seconds < latency"),
    Change("message_state", "price = details.price + (price or 0)", "price = details.price"),
    Change("message_state", "        revision += sms.revision", "        revision = sms.revision"),
    Change("sending", "if queued and queued <= latest", "if queued and queued > latest"),
    Change("sending", "latency * 1000 if latency", "latency * 2000 if latency"),
    Change("expiry", "date != NO_DATE and date < forgotten", "date != NO_DATE and date < forgotten + 3_600_000_000"),
    Change("progress", "finals >= recipients and finals", "finals > recipients and finals"),
    Change("progress", "min(finals_of(counts) / whole, 1.0)", "min(finals_of(counts) / (whole + 1), 1.0)"),
    Change("progress", "counts.get(DELIVERED, 0) / finals", "finals / finals"),
    Change(
        "reconciliation", "derived.get(word, 0) - reported.get(word, 0)", "reported.get(word, 0) - derived.get(word, 0)"
    ),
    Change("rejection", "record = rejection_record(\n        body", 'record = rejection_record(\n        b""'),
    Change("sms_record", "        sms.previous,\n", "        None,\n"),
)


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """Let the functions of a module run with a change, wherever they were imported."""
    module = importlib.import_module(f"streams.domain.{change.module}")
    assert module.__file__
    source = Path(module.__file__).read_text()
    assert source.count(change.before) == 1, change
    new = {
        code.co_qualname: code
        for code in _codes(compile(source.replace(change.before, change.after), module.__file__, "exec"))
    }
    # A function whose results are kept has these around it.
    functions = [getattr(getattr(one, "__self__", None), "function", one) for one in vars(module).values()]
    functions = [getattr(one, "__wrapped__", one) for one in functions]
    functions = [one for one in functions if isinstance(one, FunctionType) and one.__module__ == module.__name__]
    kept = [(one, one.__code__) for one in functions]
    try:
        for one in functions:
            one.__code__ = new[one.__qualname__]
        _forget_cached(module)
        yield
    finally:
        for one, code in kept:
            one.__code__ = code
        _forget_cached(module)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)


def _forget_cached(module: Any) -> None:  # noqa: ANN401 - a module
    for one in vars(module).values():
        if hasattr(one, "cache_clear"):
            one.cache_clear()
        if isinstance(results := getattr(one, "__self__", None), Results):
            results.clear()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("replay")
    # One partition is replayed in this process, where the rules can be changed.
    root = archive(folder / "archive", [*verdict_load(4), *verdict_load(5), *further_load()])
    return root, replayed(root, folder / "before")


def further_load() -> list[bytes]:
    """Return messages of two parts and a campaign that ends, which the load of verdicts has seldom."""
    parts = [
        sms_callback("Delivered", message_id="two", sms_id=f"two-{part}", part=part, parts=2, latency=3 * part)
        for part in (1, 2)
    ]
    # Their first statuses come late: Queued twice, with two dates.
    stages = [
        sms_callback(word, date, message_id="stages", sms_id="stages-1")
        for word, date in (
            *(("Queued", "2026-11-22T09:16:50Z"), ("Queued", "2026-11-22T09:16:49Z"), ("Sent", "2026-11-22T09:16:51Z")),
            *(("Undelivered", "2026-11-22T09:16:53Z"), ("Delivered", "2026-11-22T09:16:54Z")),
        )
    ]
    reports = [
        campaign_report("Running", {"Delivered": 2}, campaign="only-reported", total=2),
        campaign_report(
            "Finished", {"Delivered": 1, "Failed": 1}, campaign="c0ffee00-0000-4000-8000-000000000001", total=2
        ),
    ]
    return [envelope(*parts), envelope(*stages), envelope(*reports)]


@pytest.mark.parametrize("change", CHANGES, ids=[f"{number}-{one.module}" for number, one in enumerate(CHANGES)])
def test_every_change_of_a_rule_is_found(before: tuple[Path, Path], tmp_path: Path, change: Change) -> None:
    root, folder = before
    with changed(change):
        after = replayed(root, tmp_path / "after")
    found = list(compare(folder, after))
    assert found
    assert all(one.rows and one.place[0] == 0 for one in found)


def test_the_rules_are_as_they_were_after_a_change(before: tuple[Path, Path], tmp_path: Path) -> None:
    root, folder = before
    assert content(replayed(root, tmp_path / "again")) == content(folder)


def test_a_setting_is_a_change_of_rules_too(before: tuple[Path, Path], tmp_path: Path) -> None:
    root, folder = before
    found = list(compare(folder, replayed(root, tmp_path / "masked", streams_recipient="mask")))
    assert {one.column for one in found if one.table == "sms"} == {"recipient"}


def test_a_difference_reads_as_a_line() -> None:
    assert (
        Difference("sms", "status", "unlike", 1, (3, 12, 0)).line() == "sms.status: 1 row unlike, the first at 3/12/0"
    )
    assert Difference("windows", None, "only in B", 2, (3, 12, None)).line() == (
        "windows: 2 rows only in B, the first at 3/12"
    )
    assert Policy().retention_hours == 192
