"""
A proxy that knows the people: it names the person in a header, which counts from its own address only.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from console.safety.people import Person

_NAME: Final = re.compile(r"[\w.@+-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The header, the addresses that may set it, and the names who may look at numbers and texts."""

    header: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    full: frozenset[str]

    def person(self, peer: str, named: list[str]) -> Person | None:
        """Return the person that a request of `peer` is made for; None without a name, or from another address."""
        if len(named) != 1 or not _NAME.fullmatch(named[0]) or not self._trusts(peer):
            return None
        return Person(named[0], may_unmask=named[0] in self.full)

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.networks)


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of CONSOLE_PROXY_NETWORKS; ValueError names the first that is none."""
    entries = list(filter(None, map(str.strip, text.split(","))))
    if not entries:
        raise ValueError("an address or a network is expected, such as 10.0.0.0/8")
    networks = []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            raise ValueError(f"{entry!r} is no address and no network, such as 10.0.0.0/8") from None
    return tuple(networks)
