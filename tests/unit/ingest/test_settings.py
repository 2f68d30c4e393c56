"""The values that the settings take, and their words about others."""

import pytest

from ingest.settings import IngestSettings
from streams.program.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(IngestSettings)
    assert (settings.ingest_host, settings.ingest_port) == ("0.0.0.0", 8080)  # noqa: S104
    assert (settings.secrets, settings.allowed_networks, settings.trusted_proxies) == ((), (), ())
    assert settings.ingest_max_body_bytes == 262_144
    assert (settings.ingest_flush_ms, settings.ingest_ack_timeout_ms) == (5, 1500)
    assert (settings.ingest_max_pending_bytes, settings.ingest_workers) == (67_108_864, 1)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_SECRETS", "new, old,")
    monkeypatch.setenv("INGEST_ALLOWED_NETWORKS", "192.0.2.0/24,callbacksallow.routee.net")
    monkeypatch.setenv("INGEST_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    settings = load_settings(IngestSettings)
    assert settings.secrets == ("new", "old")
    assert settings.allowed_networks == ("192.0.2.0/24", "callbacksallow.routee.net")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INGEST_PORT", "http"),
        ("INGEST_PORT", "70000"),
        ("INGEST_MAX_BODY_BYTES", "1000000"),
        ("INGEST_ACK_TIMEOUT_MS", "2000"),
        ("INGEST_WORKERS", "0"),
        ("INGEST_ALLOWED_NETWORKS", "not a name"),
        ("INGEST_TRUSTED_PROXIES", "proxy.example"),
        ("INGEST_ACCESS_LOG", "2"),
        ("INGEST_SECRETS", "a/b"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as wrong:
        load_settings(IngestSettings)
    assert str(wrong.value).startswith(name)
    assert "\n" not in str(wrong.value)


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_SECRETS", "pass%20word")
    with pytest.raises(SettingsError) as wrong:
        load_settings(IngestSettings)
    assert "pass" not in str(wrong.value)


def test_tls_needs_both_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_TLS_CERT", "cert.pem")
    with pytest.raises(SettingsError, match="INGEST_TLS_CERT and INGEST_TLS_KEY are needed together"):
        load_settings(IngestSettings)


def test_every_setting_has_a_description() -> None:
    own = {name: field for name, field in IngestSettings.model_fields.items() if name.startswith("ingest_")}
    assert own
    assert all(field.description for field in own.values())
