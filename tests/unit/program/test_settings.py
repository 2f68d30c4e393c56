from pathlib import Path

import pytest
from pydantic import Field, SecretStr, field_validator

from streams.program.brokers import client_options
from streams.program.settings import CommonSettings, SettingsError, load_settings, setting_warnings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in CommonSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def test_every_problem_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PARTITIONS", "eight")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as error:
        load_settings(CommonSettings)
    lines = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["KAFKA_PARTITIONS=eight", "LOG_LEVEL=loud"]


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(CommonSettings):
        streams_hmac_key: SecretStr = Field(min_length=32)

    monkeypatch.setenv("STREAMS_HMAC_KEY", "hunter2")
    with pytest.raises(SettingsError, match="STREAMS_HMAC_KEY") as error:
        load_settings(Settings)
    assert "hunter2" not in str(error.value)


def test_sasl_needs_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_PARTITIONS", "many")
    with pytest.raises(SettingsError) as error:
        load_settings(CommonSettings)
    assert str(error.value).splitlines() == [
        *(
            f"KAFKA_SASL_{name}: it is needed with KAFKA_SECURITY_PROTOCOL=SASL_SSL"
            for name in ("MECHANISM", "USERNAME", "PASSWORD")
        ),
        "KAFKA_PARTITIONS=many: a whole number is needed",
    ]


def test_a_wrong_form_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka")
    with pytest.raises(SettingsError, match=r"^KAFKA_BOOTSTRAP_SERVERS=kafka: host:port, comma-separated is expected$"):
        load_settings(CommonSettings)


def test_credentials_that_no_broker_is_told_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "routee")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    (line,) = setting_warnings(load_settings(CommonSettings))
    assert line.startswith(
        "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: not used with KAFKA_SECURITY_PROTOCOL=PLAINTEXT"
    )


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_files_of_tls_that_encrypt_nothing_are_named(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", protocol)
    for name in ("MECHANISM", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"KAFKA_SASL_{name}", "PLAIN" if protocol.startswith("SASL") else "")
    for name in ("CAFILE", "KEYFILE"):
        monkeypatch.setenv(f"KAFKA_SSL_{name}", "authority.pem")
    (line,) = setting_warnings(load_settings(CommonSettings))
    assert line.startswith(f"KAFKA_SSL_CAFILE and KAFKA_SSL_KEYFILE: not used with KAFKA_SECURITY_PROTOCOL={protocol}")


def test_files_of_tls_that_are_used_are_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_CAFILE", "authority.pem")
    assert list(setting_warnings(load_settings(CommonSettings))) == []


def test_the_name_of_a_setting_keeps_its_first_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(CommonSettings):
        clickhouse_sharded: str = "no"

        @field_validator("clickhouse_sharded")
        @classmethod
        def _needs_a_cluster(cls, value: str) -> str:
            if value == "yes":
                raise ValueError("CLICKHOUSE_CLUSTER has to name the cluster")
            return value

    monkeypatch.setenv("CLICKHOUSE_SHARDED", "yes")
    with pytest.raises(SettingsError, match=r"^CLICKHOUSE_SHARDED=yes: CLICKHOUSE_CLUSTER has to name the cluster$"):
        load_settings(Settings)


def test_a_dot_env_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("project")
    (folder / ".env").write_text("KAFKA_PARTITIONS=12\n")
    monkeypatch.chdir(folder)
    assert load_settings(CommonSettings).kafka_partitions == 12


def test_the_environment_is_stronger_than_dot_env_and_arguments_than_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("KAFKA_PARTITIONS=1\nKAFKA_TOPIC_PREFIX=written.\nLOG_LEVEL=${WORD}\n")
    monkeypatch.setenv("KAFKA_PARTITIONS", "2")
    monkeypatch.setenv("kafka_topic_prefix", "told.")
    monkeypatch.setenv("WORD", "error")
    settings = load_settings(CommonSettings, kafka_partitions=3)
    assert (settings.kafka_partitions, settings.kafka_topic_prefix, settings.log_level) == (3, "told.", "error")


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PARTITIONS", "")
    assert load_settings(CommonSettings).kafka_partitions == 8
    Path(".env").write_text("KAFKA_PARTITIONS=12\n")
    assert load_settings(CommonSettings).kafka_partitions == 8, "the environment is stronger, also when it says nothing"


def test_clients_are_given_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "routee",
        "KAFKA_SASL_PASSWORD": "p",
    }.items():
        monkeypatch.setenv(name, value)
    options = client_options(load_settings(CommonSettings))
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_password"] == "p"  # noqa: S105 - made up here
    assert options["ssl_context"] is None


@pytest.mark.parametrize("password", ["hunter2", "hunter2/", "h/hunter2?", "hunter2@"])
@pytest.mark.parametrize("scheme", ["https://", ""])
def test_a_password_within_a_url_is_not_repeated(scheme: str, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(CommonSettings):
        clickhouse_url: str = Field("http://127.0.0.1:8123", pattern=r"^https?://[^@]*$")

    monkeypatch.setenv("CLICKHOUSE_URL", f"{scheme}user:{password}@clickhouse.example:8443")
    with pytest.raises(SettingsError, match=rf"CLICKHOUSE_URL={scheme}\*\*\*@clickhouse\.example") as error:
        load_settings(Settings)
    assert "hunter2" not in str(error.value)


def test_an_old_name_is_taken_with_a_warning_that_says_the_new_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Settings(CommonSettings):
        sinks_admin_port: int = Field(9102, description="A port.")

    monkeypatch.chdir(tmp_path)
    assert list(setting_warnings(load_settings(Settings))) == []
    (tmp_path / ".env").write_text("SINKS_METRICS_PORT=1\n")
    settings = load_settings(Settings)
    assert settings.sinks_admin_port == 1
    assert list(setting_warnings(settings)) == [
        "SINKS_METRICS_PORT is now SINKS_ADMIN_PORT: the old name is taken while the new one is not set"
    ]
    monkeypatch.setenv("SINKS_ADMIN_PORT", "2")
    assert load_settings(Settings).sinks_admin_port == 2
