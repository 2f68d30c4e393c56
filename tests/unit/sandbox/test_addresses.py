from pathlib import Path

import pytest
from pydantic import SecretStr

from console.settings import ConsoleSettings
from ingest.settings import IngestSettings
from sandbox.addresses import addresses_of
from sandbox.programs import Launcher, programs
from sandbox.settings import SandboxSettings
from sinks.settings import SinksSettings
from streams.settings import StreamsSettings


def settings(**given: object) -> SandboxSettings:
    return SandboxSettings(**given)


def test_the_defaults_are_those_of_the_contract() -> None:
    addresses = addresses_of(settings())
    assert addresses.callback_url == "http://127.0.0.1:8080/callbacks"
    assert addresses.kafka == "127.0.0.1:9092"
    assert addresses.clickhouse == "http://127.0.0.1:8123"
    assert addresses.streams == "http://127.0.0.1:6066"
    assert addresses.pages == {
        "ingest": "http://127.0.0.1:9101",
        "streams": "http://127.0.0.1:9103",
        "sinks-clickhouse": "http://127.0.0.1:9102",
        "sinks-files": "http://127.0.0.1:9104",
    }
    assert addresses.files == Path(".sandbox/files")
    assert addresses.console == "http://127.0.0.1:8090"


def test_an_application_at_routee_brings_a_backfill() -> None:
    """It has pages on a port of its own; it watches, and it is up before its first round is over."""
    addresses = addresses_of(settings(routee_application_id="a-1"))
    assert addresses.pages["backfill"] == "http://127.0.0.1:9105"
    assert len(set(addresses.pages.values())) == len(addresses.pages)
    (program,) = (one for one in programs(addresses) if one.name == "backfill")
    assert program.command == ("routee-ingest", "backfill", "--watch")
    assert program.up == "http://127.0.0.1:9105/livez"


def test_every_broker_is_a_way_in() -> None:
    assert addresses_of(settings(sandbox_kafka_port=19092, sandbox_kafka_brokers=3)).kafka == (
        "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094"
    )


def test_the_first_secret_ends_the_callback_url_and_is_not_shown() -> None:
    addresses = addresses_of(settings(ingest_secrets=SecretStr("new, old")))
    assert addresses.callback_url == "http://127.0.0.1:8080/callbacks/new"
    assert "callbacks=http://127.0.0.1:8080/callbacks/***" in str(addresses)
    assert "new" not in str(addresses)


def test_an_ingest_with_a_certificate_is_called_over_tls() -> None:
    addresses = addresses_of(settings(ingest_tls_cert="cert.pem", ingest_tls_key="key.pem"))
    assert addresses.callback_url == "https://127.0.0.1:8080/callbacks"


def test_each_sink_has_a_port_of_its_own() -> None:
    ports = {one.name: one.environment for one in programs(addresses_of(settings())) if one.environment}
    assert ports == {
        "sinks-clickhouse": {"SINKS_ADMIN_PORT": "9102"},
        "sinks-files": {"SINKS_ADMIN_PORT": "9104"},
    }


def test_every_program_listens_on_this_machine_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    addresses = {
        name
        for model in (IngestSettings, StreamsSettings, SinksSettings, ConsoleSettings)
        for name in model.model_fields
        if name.endswith(("_host", "_bind")) and name != "streams_web_host"
    }
    for name in addresses:
        monkeypatch.setenv(name.upper(), "0.0.0.0")  # noqa: S104 - as the settings of another place may say
    told = settings()
    environment = Launcher(told, addresses_of(told), tmp_path)._environment
    assert {name: environment[name.upper()] for name in addresses} == dict.fromkeys(addresses, "127.0.0.1")
