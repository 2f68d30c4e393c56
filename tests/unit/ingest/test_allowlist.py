"""Host names among the allowed networks."""

import asyncio
import socket
from typing import Any

import pytest

from ingest.http.allowlist import AllowList
from ingest.http.networks import Networks, parse_address
from tests.support.clock import FakeClock

NAME = "callbacksallow.example"
NONE = Networks([])
ROUTEE, OTHER = parse_address("192.0.2.1"), parse_address("192.0.2.2")


class Names:
    """The resolver of the test."""

    def __init__(self) -> None:
        self.addresses = ["192.0.2.1"]
        self.failing = False
        self.asked = 0

    async def getaddrinfo(self, host: str, _port: object, **_options: object) -> list[tuple[Any, ...]]:
        assert host == NAME
        self.asked += 1
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
    allowlist = AllowList([NAME, "198.51.100.0/24"], NONE, FakeClock(), lambda: changes.append(None))
    assert not allowlist.allows(ROUTEE, b"")
    assert allowlist.allows(parse_address("198.51.100.7"), b"")
    await allowlist.refresh()
    assert allowlist.allows(ROUTEE, b"")
    assert not allowlist.allows(OTHER, b"")
    assert len(changes) == 1


async def test_a_change_of_addresses_is_followed_and_reported(names: Names) -> None:
    changes: list[None] = []
    allowlist = AllowList([NAME], NONE, FakeClock(), lambda: changes.append(None))
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
    allowlist = AllowList([NAME], NONE, FakeClock(), lambda: None)
    await allowlist.refresh()
    names.failing = True
    await allowlist.refresh()
    assert allowlist.allows(ROUTEE, b"")
    assert f"{NAME} cannot be looked up, 1 known addresses stay allowed" in caplog.text


@pytest.mark.usefixtures("names")
async def test_forwarded_addresses_count_behind_trusted_proxies_only() -> None:
    allowlist = AllowList([NAME], Networks(["10.0.0.0/8"]), FakeClock(), lambda: None)
    await allowlist.refresh()
    proxy = parse_address("10.0.0.1")
    assert allowlist.allows(proxy, b"192.0.2.1")
    assert not allowlist.allows(proxy, b"192.0.2.1, 192.0.2.2")
    assert not allowlist.allows(proxy, b"")
    assert not allowlist.allows(OTHER, b"192.0.2.1")
    assert allowlist.is_proxy(proxy)
    assert not allowlist.is_proxy(ROUTEE)


async def test_until_a_name_was_looked_up_it_is_looked_up_soon_again_and_the_port_is_not_ready(names: Names) -> None:
    clock = FakeClock()
    allowlist = AllowList([NAME], NONE, clock, lambda: None)
    names.failing = True
    await allowlist.refresh()
    looking = asyncio.create_task(allowlist.run())
    at = [0.0]
    for _ in range(200):
        if names.asked > len(at):
            at.append(clock.now - 1000.0)
        assert allowlist.trouble() == "a host name of INGEST_ALLOWED_NETWORKS cannot be looked up"
        await settled()
        clock.advance(1.0)
        await settled()
    assert at == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0]
    names.failing = False
    clock.advance(60.0)
    await settled()
    assert allowlist.trouble() is None
    asked = names.asked
    names.failing = True
    clock.advance(59.0)
    await settled()
    assert names.asked == asked
    clock.advance(1.0)
    await settled()
    assert names.asked == asked + 1
    assert allowlist.trouble() is None, "the known addresses stay allowed"
    looking.cancel()


async def settled() -> None:
    """Return when the tasks have done what they can do without a later time."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_networks_need_no_look_up() -> None:
    assert AllowList(["192.0.2.0/24"], NONE, FakeClock(), lambda: None).trouble() is None


@pytest.mark.usefixtures("names")
async def test_a_name_that_is_written_twice_is_looked_up_once() -> None:
    allowlist = AllowList([NAME, NAME], NONE, FakeClock(), lambda: None)
    await allowlist.refresh()
    assert allowlist.trouble() is None
