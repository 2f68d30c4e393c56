"""
Settings: a wrong one is a line that names it.
"""

from pathlib import Path

import pytest

from sinks.batch import Limits
from sinks.settings import SinksSettings
from sinks.tables import TABLE_OF
from streams.program.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in SinksSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(SinksSettings)
    assert (settings.sinks_admin_host, settings.sinks_admin_port) == ("127.0.0.1", 9102)
    assert settings.limits_of("clickhouse") == Limits(rows=20_000, nbytes=67_108_864, seconds=1.0)
    assert settings.limits_of("files") == Limits(rows=20_000, nbytes=33_554_432, seconds=1.0)
    assert (str(settings.sinks_files_root), settings.sinks_files_format) == ("data/files", "parquet")
    assert (settings.clickhouse_url, settings.clickhouse_user) == ("http://127.0.0.1:8123", "default")
    assert (settings.clickhouse_password.get_secret_value(), settings.clickhouse_database) == ("", "routee")


@pytest.mark.parametrize("sink", ["clickhouse", "files"])
def test_the_bytes_of_a_batch_can_be_set(sink: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINKS_BATCH_BYTES", "1048576")
    assert load_settings(SinksSettings).limits_of(sink).nbytes == 1_048_576


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SINKS_ADMIN_PORT", "http"),
        ("SINKS_ADMIN_PORT", "70000"),
        ("SINKS_BATCH_ROWS", "0"),
        ("SINKS_BATCH_SECONDS", "-1"),
        ("SINKS_BATCH_SECONDS", "nan"),
        ("SINKS_BATCH_SECONDS", "inf"),
        ("SINKS_FILES_FORMAT", "csv"),
        ("SINKS_TABLES", "sms_status,sms"),
        ("SINKS_FILES_ROOT", "gs://bucket/prefix"),
        ("SINKS_FILES_ROOT", "s3://key:secret@bucket/prefix"),
        ("SINKS_FILES_ROOT", "s3://bucket//prefix"),
        ("SINKS_FILES_ROOT", "s3://"),
        ("CLICKHOUSE_URL", "127.0.0.1:8123"),
        ("CLICKHOUSE_URL", "http://user:secret@host:8123"),
        ("CLICKHOUSE_DATABASE", "routee; DROP"),
        ("CLICKHOUSE_CLUSTER", "a'b"),
        ("CLICKHOUSE_SHARDED", "maybe"),
        ("CLICKHOUSE_SHARDED", "yes"),  # of no cluster
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings(SinksSettings)
    assert str(error.value).startswith(name)
    assert "\n" not in str(error.value)


def test_a_bucket_with_another_name_is_told_the_form_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINKS_FILES_ROOT", "s3://b/prefix")
    with pytest.raises(SettingsError, match="the bucket of 3 to 63 small letters"):
        load_settings(SinksSettings)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ("", {*TABLE_OF.values()}),
        ("raw_callbacks", {"raw_callbacks"}),
        (" sms_status, raw_callbacks ", {"sms_status", "raw_callbacks"}),
    ],
)
def test_tables_of_files_are_chosen_and_the_archive_only_by_its_name(
    monkeypatch: pytest.MonkeyPatch, given: str, chosen: set[str]
) -> None:
    monkeypatch.setenv("SINKS_TABLES", given)
    assert {*load_settings(SinksSettings).file_table_of.values()} == chosen


def test_the_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hunter2")
    settings = load_settings(SinksSettings)
    assert "hunter2" not in repr(settings)


def test_every_setting_says_what_changing_it_does() -> None:
    own = set(SinksSettings.__annotations__)
    assert all(SinksSettings.model_fields[name].description for name in own)


def test_the_root_of_files_is_a_folder_or_the_address_of_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINKS_FILES_ROOT", "s3://routee-files/archive/")
    assert load_settings(SinksSettings).sinks_files_root == "s3://routee-files/archive"
    monkeypatch.setenv("SINKS_FILES_ROOT", "some/folder")
    assert load_settings(SinksSettings).sinks_files_root == Path("some/folder")
