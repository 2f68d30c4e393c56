"""
A replay against ClickHouse: the same rules have no difference, and every change of a rule is found on the real engine.
"""

from pathlib import Path

import pytest

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.sink import ClickHouseSink
from sinks.settings import SinksSettings
from sinks.source import Record
from streams.cli import main
from streams.contract.codec import encode
from streams.domain.policy import Policy
from streams.replay.clickhouse import NAME, ClickHouseSettings
from streams.replay.compare import Difference, compare
from tests.support.every_verdict import verdict_load
from tests.unit.streams.domain.pipeline import Pipeline
from tests.unit.streams.replay.test_replay import CHANGES, archive, changed, further_load, replayed

pytestmark = pytest.mark.clickhouse

TABLES = {
    "sms.status": "sms_status",
    "campaign.progress": "campaign_progress",
    "delivery.windows": "delivery_windows",
    "callbacks.rejected": "rejected_callbacks",
}
LOAD = [*verdict_load(4), *verdict_load(5), *further_load()]


@pytest.fixture
def served(settings: SinksSettings) -> ClickHouseSettings:
    """Give the settings of the database."""
    return ClickHouseSettings(
        clickhouse_url=settings.clickhouse_url,
        clickhouse_user=settings.clickhouse_user,
        clickhouse_password=settings.clickhouse_password,
        clickhouse_database=settings.clickhouse_database,
    )


def write(tables: ClickHouse, load: list[bytes]) -> None:
    """Write what a worker makes of these records, all of it."""
    pipeline = Pipeline()
    for offset, value in enumerate(load):
        pipeline.take_in(0, offset, value)
    pipeline.settle_deliveries()
    for topic, table in TABLES.items():
        rows = [Record(topic, 0, offset, 0, encode(record)) for offset, record in enumerate(pipeline.of(topic))]
        ClickHouseSink(tables).write(table, rows)


@pytest.fixture
def root(tables: ClickHouse, tmp_path: Path) -> Path:
    """Give an archive whose records are in ClickHouse."""
    write(tables, LOAD)
    return archive(tmp_path / "archive", LOAD)


def differences(folder: Path, served: ClickHouseSettings) -> list[Difference]:
    return list(compare(Path(NAME), folder, served))


def test_the_same_rules_have_no_difference(root: Path, tmp_path: Path, served: ClickHouseSettings) -> None:
    folder = replayed(root, tmp_path / "a")
    assert differences(folder, served) == []
    assert list(compare(folder, Path(NAME), served)) == []
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_proxy_of_the_environment_does_not_see_the_password(
    root: Path, tmp_path: Path, served: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = replayed(root, tmp_path / "a")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert differences(folder, served) == []


@pytest.mark.timeout(500)
def test_every_change_of_a_rule_is_found(root: Path, tmp_path: Path, served: ClickHouseSettings) -> None:
    missed = []
    for number, change in enumerate(CHANGES):
        with changed(change):
            folder = replayed(root, tmp_path / f"{number}")
        found = differences(folder, served)
        if not found or any(not one.rows or one.place[0] != 0 for one in found):
            missed.append((change, found))
    assert missed == []


def test_sms_and_messages_are_those_of_the_end_of_the_replay(
    root: Path, tables: ClickHouse, tmp_path: Path, served: ClickHouseSettings
) -> None:
    """A worker has taken in further records since, of the same SMS and of others."""
    half = archive(tmp_path / "half", LOAD[: len(LOAD) // 2])
    folder = replayed(half, tmp_path / "a")
    assert {one.table for one in differences(folder, served)} <= {"campaigns", "windows"}
    tables.execute(
        "ALTER TABLE sms_status_history DELETE WHERE cityHash64(sms_key) % 3 = 0 SETTINGS mutations_sync = 2"
    )
    assert ("sms", None, "only in B") in {one[:3] for one in differences(folder, served)}
    del root


def test_rows_that_one_side_lacks_are_told_with_a_place(
    root: Path, tables: ClickHouse, tmp_path: Path, served: ClickHouseSettings
) -> None:
    folder = replayed(root, tmp_path / "a")
    for file in (folder / "campaigns" / "all.parquet", folder / "windows" / "all.parquet"):
        file.unlink()
    tables.execute("ALTER TABLE rejected_callbacks DELETE WHERE true SETTINGS mutations_sync = 2")
    found = {one.table: one for one in differences(folder, served)}
    assert {table: one.what for table, one in found.items()} == {
        "campaigns": "only in A", "windows": "only in A", "rejections": "only in B"
    }  # fmt: skip
    assert all(one.place[0] == 0 and one.rows for one in found.values())


def test_every_trouble_is_one_line_and_2(
    root: Path,
    tmp_path: Path,
    settings: SinksSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = replayed(root, tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLICKHOUSE_URL", settings.clickhouse_url)
    monkeypatch.setenv("CLICKHOUSE_USER", settings.clickhouse_user)
    monkeypatch.setenv("CLICKHOUSE_DATABASE", settings.clickhouse_database)
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "another")
    for told, changes in (
        ("ClickHouse refuses a query with code", {}),
        ("it has no view sms_history", {"CLICKHOUSE_DATABASE": "default"}),
        ("ClickHouse does not answer there", {"CLICKHOUSE_URL": "http://127.0.0.1:1"}),
    ):
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        assert main(["compare", str(folder), NAME]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", settings.clickhouse_password.get_secret_value())
    assert main(["compare", NAME, NAME]) == 2
    assert main(["compare", NAME, str(tmp_path)]) == 2


def test_a_setting_is_a_difference_too(root: Path, tmp_path: Path, served: ClickHouseSettings) -> None:
    folder = replayed(root, tmp_path / "masked", streams_recipient="mask")
    assert {one.column for one in differences(folder, served) if one.table == "sms"} == {"recipient"}
    assert Policy().retention_hours == 192
