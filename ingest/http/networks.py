"""
Networks, and the address that a request really comes from behind proxies. Pure.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Networks:
    """A set of networks. An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) counts as the IPv4 address."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: list[Network] = [ip_network(network, strict=False) for network in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def parse_address(text: str) -> Address | None:
    """Return the address written as `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`, or None."""
    text = text.strip(" \t")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def share_of(address: Address | None) -> bytes | None:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 one, which belongs to one customer."""
    return None if address is None else address.packed[:8]


def client_address(peer: Address | None, forwarded_for: bytes, proxies: Networks) -> Address | None:
    """
    Return the address a request comes from: the rightmost one that is not a trusted proxy.

    `X-Forwarded-For` is read from its right end, and only as far as trusted proxies wrote it: anything further left may
    be the client's invention. None when that address is unreadable.
    """
    address = peer
    hops = forwarded_for.decode("latin-1").split(",") if forwarded_for else []
    while hops and address is not None and address in proxies:
        address = parse_address(hops.pop())
    return address
