"""Networks that hold a great part of the internet."""

import pytest

from ingest.breadth import wide_networks


@pytest.mark.parametrize(
    ("entries", "wide"),
    [
        (["0.0.0.0/0"], ["0.0.0.0/0"]),
        (["::/0"], ["::/0"]),
        (["0.0.0.0/1", "128.0.0.0/1"], ["0.0.0.0/0"]),
        (["::/1", "8000::/1"], ["::/0"]),
        (["8.0.0.0/7"], ["8.0.0.0/7"]),
        (["8.0.0.0/8", "9.0.0.0/8"], ["8.0.0.0/7"]),
        (["2000::/3", "192.0.2.0/24"], ["2000::/3"]),
        (["2000::/15"], ["2000::/15"]),
        (["1.2.3.4/0"], ["0.0.0.0/0"]),
    ],
)
def test_a_network_wider_than_an_eighth_or_a_sixteenth_of_the_bits_is_wide(entries: list[str], wide: list[str]) -> None:
    assert wide_networks(entries) == wide


def test_many_networks_are_wide_together() -> None:
    every_second = [f"{first}.0.0.0/8" for first in range(0, 256, 2)]
    assert wide_networks(every_second) == every_second
    assert wide_networks(every_second[:16]) == every_second[:16], "a sixteenth of all addresses"
    assert wide_networks(every_second[:15]) == []
    assert wide_networks(f"{first:x}::/16" for first in range(0x2000, 0x4000, 2))


@pytest.mark.parametrize(
    "entries",
    [
        [],
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1"],
        ["fd00::/8"],
        ["fc00::/7"],
        ["2a00::/16", "192.0.2.1"],
    ],
)
def test_the_networks_of_an_organisation_are_not_wide(entries: list[str]) -> None:
    assert wide_networks(entries) == []
