"""Host names among the allowed networks."""

import asyncio
import socket
from typing import Any

import pytest

from ingest.http.allowlist import AllowList
from ingest.http.networks import parse_address

NAME = "callbacksallow.example"
ROUTEE, OTHER = parse_address("192.0.2.1"), parse_address("192.0.2.2")


class Names:
    """The resolver of the test."""

    def __init__(self) -> None:
        self.addresses = ["192.0.2.1"]
        self.failing = False

    async def getaddrinfo(self, host: str, _port: object, **_options: object) -> list[tuple[Any, ...]]:
        assert host == NAME
        if self.failing:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    known = Names()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", known.getaddrinfo)
    return known


@pytest.mark.usefixtures("names")
async def test_a_name_allows_its_addresses_once_it_was_looked_up() -> None:
    changes: list[None] = []
    allowlist = AllowList([NAME, "198.51.100.0/24"], [], lambda: changes.append(None))
    assert not allowlist.allows(ROUTEE, b"")
    assert allowlist.allows(parse_address("198.51.100.7"), b"")
    await allowlist.refresh()
    assert allowlist.allows(ROUTEE, b"")
    assert not allowlist.allows(OTHER, b"")
    assert len(changes) == 1


async def test_a_change_of_addresses_is_followed_and_reported(names: Names) -> None:
    changes: list[None] = []
    allowlist = AllowList([NAME], [], lambda: changes.append(None))
    await allowlist.refresh()
    names.addresses = ["192.0.2.2"]
    await allowlist.refresh()
    await allowlist.refresh()
    assert allowlist.allows(OTHER, b"")
    assert not allowlist.allows(ROUTEE, b"")
    assert len(changes) == 2


async def test_a_failing_look_up_keeps_the_known_addresses_and_warns(
    names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    allowlist = AllowList([NAME], [], lambda: None)
    await allowlist.refresh()
    names.failing = True
    await allowlist.refresh()
    assert allowlist.allows(ROUTEE, b"")
    assert f"{NAME} cannot be looked up, 1 known addresses stay allowed" in caplog.text


@pytest.mark.usefixtures("names")
async def test_forwarded_addresses_count_behind_trusted_proxies_only() -> None:
    allowlist = AllowList([NAME], ["10.0.0.0/8"], lambda: None)
    await allowlist.refresh()
    proxy = parse_address("10.0.0.1")
    assert allowlist.allows(proxy, b"192.0.2.1")
    assert not allowlist.allows(proxy, b"192.0.2.1, 192.0.2.2")
    assert not allowlist.allows(proxy, b"")
    assert not allowlist.allows(OTHER, b"192.0.2.1")
    assert allowlist.is_proxy(proxy)
    assert not allowlist.is_proxy(ROUTEE)
