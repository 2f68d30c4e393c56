"""
Tells networks that are as wide as the internet. Pure.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

_NARROWEST_WIDE: Final = {4: 7, 6: 15}
"""A network with a prefix of so many bits, or fewer, is wide: an IPv4 network wider than /8, an IPv6 one than /16."""

_MANY: Final = {4: 2**28, 6: 2**124}
"""Networks that together hold a sixteenth of all addresses, or more, are wide."""

_INNER: Final = IPv6Network("fc00::/7")
"""No address of it is on the internet, and as a whole it is wider than /16."""


def wide_networks(entries: Iterable[str]) -> list[str]:
    """
    Return the networks that hold a great part of the internet, joined where they touch; none when all are narrow.

    The entries are addresses and CIDRs. Halves count as the whole that they make.
    """
    networks = [ip_network(entry, strict=False) for entry in entries]
    ipv4 = [*collapse_addresses(one for one in networks if isinstance(one, IPv4Network))]
    ipv6 = [*collapse_addresses(one for one in networks if isinstance(one, IPv6Network) and not one.subnet_of(_INNER))]
    return [*_wide(ipv4), *_wide(ipv6)]


def _wide(networks: list[IPv4Network] | list[IPv6Network]) -> list[str]:
    wide = [str(network) for network in networks if network.prefixlen <= _NARROWEST_WIDE[network.version]]
    if wide or not networks:
        return wide
    held = sum(network.num_addresses for network in networks)
    return [str(network) for network in networks] if held >= _MANY[networks[0].version] else []
