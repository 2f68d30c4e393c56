"""The values that the settings take, and their words about others."""

import socket

import pytest
from pydantic import SecretStr

from ingest.settings import IngestSettings
from streams.program.listening import is_loopback
from streams.program.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("INGEST_OPEN", "yes")


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(IngestSettings)
    assert (settings.ingest_host, settings.ingest_port) == ("0.0.0.0", 8080)  # noqa: S104
    assert (settings.secrets, settings.allowed_networks, settings.trusted_proxies) == ((), (), ())
    assert settings.ingest_max_body_bytes == 262_144
    assert (settings.ingest_flush_ms, settings.ingest_ack_timeout_ms) == (5, 1500)
    assert (settings.ingest_max_pending_bytes, settings.ingest_workers) == (67_108_864, 1)
    assert (settings.ingest_max_connections, settings.ingest_max_connections_per_address) == (8192, 2048)


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
        ("INGEST_OPEN", "true"),
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


MAKE_ONE = "set one made by `openssl rand -hex 24`, or INGEST_OPEN=yes to do without"


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"])  # noqa: S104
@pytest.mark.parametrize(
    ("secrets", "fault"),
    [
        ("", "no secret is set"),
        (",", "no secret is set"),
        ("a" * 15, "a secret has fewer than 16 characters"),
        (f"{'a' * 32},short", "a secret has fewer than 16 characters"),
    ],
)
def test_a_host_that_strangers_reach_needs_a_secret_that_cannot_be_guessed(
    monkeypatch: pytest.MonkeyPatch, host: str, secrets: str, fault: str
) -> None:
    for name, value in {"INGEST_OPEN": "", "INGEST_HOST": host, "INGEST_SECRETS": secrets}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as wrong:
        load_settings(IngestSettings)
    assert (
        str(wrong.value) == f"INGEST_SECRETS: {fault}, and INGEST_HOST={host or '0.0.0.0'} is not loopback: {MAKE_ONE}"  # noqa: S104
    )
    monkeypatch.setenv("INGEST_OPEN", "yes")
    load_settings(IngestSettings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_needs_no_secret(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("INGEST_OPEN", "no")
    monkeypatch.setenv("INGEST_HOST", host)
    assert load_settings(IngestSettings).secrets == ()
    monkeypatch.setenv("INGEST_SECRETS", "short")
    assert load_settings(IngestSettings).secrets == ("short",)


@pytest.mark.parametrize(
    ("addresses", "loopback"),
    [(["127.0.0.1"], True), (["127.0.0.1", "::1"], True), (["127.0.0.1", "192.0.2.1"], False), ([], False)],
)
def test_a_name_is_loopback_when_all_its_addresses_are(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], *, loopback: bool
) -> None:
    def look_up(*_: object, **__: object) -> list[object]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert is_loopback("here.example") is loopback
    assert not is_loopback("")


@pytest.mark.parametrize("proxies", ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/1,128.0.0.0/1"])
def test_proxies_as_wide_as_the_internet_are_refused(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("INGEST_TRUSTED_PROXIES", proxies)
    with pytest.raises(SettingsError, match=r"^INGEST_TRUSTED_PROXIES=.* is as wide as the internet: .*forge"):
        load_settings(IngestSettings)


def test_allowed_networks_as_wide_as_the_internet_are_a_warning() -> None:
    told = IngestSettings(ingest_open="yes", ingest_allowed_networks="0.0.0.0/0,192.0.2.0/24,a.example")
    assert list(told.warnings()) == [
        "INGEST_ALLOWED_NETWORKS: 0.0.0.0/0 is as wide as the internet, so it keeps no stranger out"
    ]
    assert not list(IngestSettings(ingest_open="yes", ingest_allowed_networks="192.0.2.0/24,a.example").warnings())
    assert not list(IngestSettings(ingest_open="yes").warnings())


def test_a_secret_beside_an_open_ingest_is_told() -> None:
    (told,) = IngestSettings(ingest_open="yes", ingest_secrets=SecretStr("of-sixteen-letters")).warnings()
    assert told.startswith("INGEST_OPEN=yes opens nothing while INGEST_SECRETS is set")
    assert "sixteen" not in told
