"""
Tells the requests that a web page may have made, in a browser on the machine of a server that trusts loopback. Pure.

A page of any site can send requests to loopback. The browser tells where they come from. A site that points its name at
loopback (DNS rebinding) is told by that name, in `Host`.
"""

import re
from collections.abc import Iterable
from typing import Final

_PORT: Final = re.compile(r":\d+\Z")
_OWN_PAGE: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of a request that no page, or one of ours, has made."""


class Origin:
    """The names of a server: loopback, and the `hosts` that it is called by. A forwarder may give it any port."""

    def __init__(self, *hosts: str) -> None:
        called = (f"[{host}]" if ":" in host else host.lower() for host in hosts)
        self._names = frozenset({"localhost", "127.0.0.1", "[::1]", *called})

    def refusal(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """Return why a request is refused, by its headers in lower case; None when it comes from a program of ours."""
        told = [*headers]
        hosts = [value for name, value in told if name == "host"]
        if len(hosts) != 1:
            return f"{len(hosts)} Host headers"
        host = hosts[0].strip().lower()
        if _PORT.sub("", host) not in self._names:
            return f"host: {hosts[0]}"
        return next(
            (f"{name}: {value}" for name, value in told if not _is_own(name, value.strip().lower(), host)), None
        )


def _is_own(name: str, value: str, host: str) -> bool:
    """Return whether a header tells of no page, or of one that this server itself has sent."""
    if name in {"origin", "referer"}:
        return value.startswith("http://") and _with_port(value.split("/")[2]) == _with_port(host)
    return name != "sec-fetch-site" or value in _OWN_PAGE


def _with_port(address: str) -> str:
    return address if _PORT.search(address) else f"{address}:80"
