"""
Listening sockets of the pages and of the read API: bound before anything else starts, told by the names of settings.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

# The kernel keeps so many connections that wait: when it keeps fewer, a flood makes a probe wait for a second.
_BACKLOG: Final = 1024
_IPV4: Final = 4


class CannotListenError(Exception):
    """An address cannot be listened on; `str()` is one line that names the settings."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to listen on. `name` is the beginning of its two settings: NAME_HOST (or `host_name`), NAME_PORT."""

    name: str
    host: str
    port: int
    host_name: str = ""

    def bind(self, *, backlog: int = _BACKLOG, shared: bool = False) -> socket.socket:
        """
        Return a listening socket; `shared` lets more sockets be bound to the address that are shared, too.

        Raises CannotListenError.
        """
        host_setting = f"{self.host_name or f'{self.name}_HOST'}={self.host}"
        try:
            family = _family(self.host)
        except OSError as error:
            raise CannotListenError(f"{host_setting}: {error.strerror}") from error
        try:
            dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
            return socket.create_server(
                (self.host, self.port), family=family, backlog=backlog, reuse_port=shared, dualstack_ipv6=dual
            )
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise CannotListenError(f"{host_setting} {self.name}_PORT={self.port}: {reason}") from error


def _family(host: str) -> int:
    try:
        return socket.AF_INET if ip_address(host).version == _IPV4 else socket.AF_INET6
    except ValueError:  # a name
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]


def port_problems(*endpoints: Endpoint) -> Iterator[str]:
    """Yield a line for each address that cannot be listened on, also when two of them are the same."""
    held = []
    for endpoint in endpoints:
        try:
            held.append(endpoint.bind())
        except CannotListenError as error:
            yield str(error)
    for bound in held:
        bound.close()


def url_of(bound: socket.socket, scheme: str = "http") -> str:
    """Return where a socket listens."""
    host, port = bound.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host; a name must have no other addresses than loopback."""
    if not host or host.lower() == "localhost":
        return bool(host)
    with contextlib.suppress(ValueError):  # a name
        return _is_loopback_address(host)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(_is_loopback_address(str(address[0])) for *_, address in found)


def _is_loopback_address(text: str) -> bool:
    address = ip_address(text.partition("%")[0])
    # Before Python 3.13, an IPv4 address within IPv6 (`::ffff:127.0.0.1`) is never loopback.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
