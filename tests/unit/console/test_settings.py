"""
The settings of the console: every problem at once, and no strangers.
"""

import pytest
from pydantic import SecretStr

from console.cli import main
from console.settings import ConsoleSettings, access_problems
from streams.program.settings import SettingsError, load_settings

TOKENS = f"anna:{'a' * 20}:full"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def test_the_defaults_are_for_this_machine_alone() -> None:
    settings = load_settings(ConsoleSettings)
    assert (settings.console_host, settings.console_admin_host) == ("127.0.0.1", "127.0.0.1")
    assert not settings.people
    assert settings.proxies is None
    assert list(access_problems(vars(settings))) == []


def test_every_problem_is_told_at_once_and_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_TOKENS", "anna:secret-of-anna")
    monkeypatch.setenv("CONSOLE_TIME_ZONE", "Greece/Athens")
    monkeypatch.setenv("CONSOLE_PROXY_NETWORKS", "10.0.0.0/40")
    monkeypatch.setenv("CONSOLE_PORT", "http")
    with pytest.raises(SettingsError) as told:
        load_settings(ConsoleSettings)
    lines = str(told.value).splitlines()
    names = [line.partition("=")[0].partition(":")[0] for line in lines]
    assert sorted(names) == ["CONSOLE_PORT", "CONSOLE_PROXY_NETWORKS", "CONSOLE_TIME_ZONE", "CONSOLE_TOKENS"]
    assert "secret-of-anna" not in str(told.value)


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({}, ["CONSOLE_TOKENS or CONSOLE_PROXY_HEADER", "CONSOLE_URL"]),
        ({"console_tokens": SecretStr(TOKENS)}, ["CONSOLE_URL"]),
        ({"console_tokens": SecretStr(TOKENS), "console_url": "https://console.example.com"}, []),
        ({"console_proxy_header": "X-User", "console_url": "https://console.example.com"}, []),
    ],
)
def test_another_address_than_loopback_needs_people_and_a_name(
    settings: dict[str, object], problems: list[str]
) -> None:
    told = {**vars(load_settings(ConsoleSettings)), "console_host": "0.0.0.0", **settings}  # noqa: S104 - as a setting
    assert [line.partition(":")[0] for line in access_problems(told)] == problems


def test_an_address_that_strangers_reach_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONSOLE_HOST", "0.0.0.0")  # noqa: S104 - as a setting
    assert main(["serve"]) == 2
    assert "CONSOLE_TOKENS or CONSOLE_PROXY_HEADER" in capsys.readouterr().err


def test_a_token_on_the_way_without_tls_is_a_warning() -> None:
    told = load_settings(
        ConsoleSettings, console_host="192.0.2.1", console_tokens=TOKENS, console_url="http://console.example.com"
    )
    assert [line for line in told.warnings() if "in the clear" in line]
