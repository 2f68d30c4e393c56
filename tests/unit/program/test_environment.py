"""Settings from `.env`, and names that are no settings."""

import json
from pathlib import Path

import pytest

from streams.program.environment import KNOWN_SETTINGS, unknown_settings
from streams.program.logline import configure_logging
from streams.program.settings import CommonSettings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KNOWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("INGEST_SECRET", "INGEST_SECRET is no setting: did you mean INGEST_SECRETS?"),
        ("ingest_secret", "INGEST_SECRET is no setting: did you mean INGEST_SECRETS?"),
        ("KAFKA_PARTITION", "KAFKA_PARTITION is no setting: did you mean KAFKA_PARTITIONS?"),
        ("CLICKHOUSE_PASWORD", "CLICKHOUSE_PASWORD is no setting: did you mean CLICKHOUSE_PASSWORD?"),
        ("SINK_BATCH_ROWS", "SINK_BATCH_ROWS is no setting: did you mean SINKS_BATCH_ROWS?"),
        ("STREAM_FLUSH_MS", "STREAM_FLUSH_MS is no setting: did you mean STREAMS_FLUSH_MS?"),
        ("STREAM_FLUSH", "STREAM_FLUSH is no setting: did you mean STREAMS_FLUSH_MS?"),
        ("KAKFA_PARTITIONS", "KAKFA_PARTITIONS is no setting: did you mean KAFKA_PARTITIONS?"),
        ("CLICK_HOUSE_URL", "CLICK_HOUSE_URL is no setting: did you mean CLICKHOUSE_URL?"),
        ("STREAMS_BATCH_ROWS", "STREAMS_BATCH_ROWS is no setting: did you mean SINKS_BATCH_ROWS?"),
        ("SINKS_FLUSH_MS", "SINKS_FLUSH_MS is no setting: did you mean INGEST_FLUSH_MS or STREAMS_FLUSH_MS?"),
        ("INGEST_WEB_PORT", "INGEST_WEB_PORT is no setting: did you mean INGEST_PORT or STREAMS_WEB_PORT?"),
        ("SINKS_CLICKHOUSE_URL", "SINKS_CLICKHOUSE_URL is no setting: did you mean CLICKHOUSE_URL?"),
        ("ROUTEE_INGEST_PORT", "ROUTEE_INGEST_PORT is no setting: did you mean INGEST_PORT?"),
        ("STREAMS_FOO", "STREAMS_FOO is no setting of any program"),
        ("SINKS_BAR", "SINKS_BAR is no setting of any program"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_nearest(name: str, line: str) -> None:
    assert list(unknown_settings({name: "hunter2"})) == [line]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLICKHOUSE_SERVICE_HOST", "10.0.0.1"),
        ("INGEST_SERVICE_PORT", "8080"),
        ("CLICKHOUSE_SERVICE_PORT_HTTP", "8123"),
        ("CLICKHOUSE_PORT_8123_TCP_ADDR", "10.0.0.1"),
        ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("KAFKA_HOME", "/opt/kafka"),
        ("INGEST_PUBLISHED", "8080"),
        ("LOG_DIR", "/var/log"),
        ("LOG_LEVELS", "debug"),
        ("INGRESS_PORT", "80"),
        ("STREAMING_PORT", "80"),
        ("SINK_COLOUR", "red"),
        ("APP_CLICKHOUSE_URL", "http://clickhouse"),
        ("PATH", "/bin"),
        *((name, "x") for name in sorted(KNOWN_SETTINGS)),
    ],
)
def test_settings_of_all_programs_and_names_of_other_software_are_left_alone(name: str, value: str) -> None:
    assert list(unknown_settings({name: value})) == []


def test_each_program_warns_in_its_log_of_what_stands_in_the_environment_and_in_dot_env(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".env").write_text("INGEST_SECRET=hunter2\n")
    monkeypatch.setenv("KAFKA_PARTITION", "3")
    monkeypatch.setenv("LOG_FORMAT", "json")
    configure_logging("ingest", load_settings(CommonSettings))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["level"], line["message"].partition(" ")[0]) for line in lines] == [
        ("warning", "INGEST_SECRET"),
        ("warning", "KAFKA_PARTITION"),
    ]
    assert "hunter2" not in str(lines)


def test_a_misspelt_setting_is_named_beside_other_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USER", "routee")
    with pytest.raises(SettingsError, match=r"KAFKA_SASL_USER is no setting: did you mean KAFKA_SASL_USERNAME\?$"):
        load_settings(CommonSettings)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"KAFKA_PARTITIONS=3\nLOG_LEVEL=\xff\n", ".env is not a text in UTF-8"),
        (b"KAFKA_PARTITIONS=3\n\nINGEST SECRETS = x\n", ".env, line 3: NAME=value is expected"),
    ],
)
def test_a_dot_env_that_cannot_be_read_is_one_line(content: bytes, line: str) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(SettingsError) as error:
        load_settings(CommonSettings)
    assert str(error.value) == line


def test_a_mark_of_utf_8_does_not_hide_the_first_line() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfKAFKA_PARTITIONS=3\n")
    assert load_settings(CommonSettings).kafka_partitions == 3
