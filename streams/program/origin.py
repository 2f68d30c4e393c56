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
    """The addresses at which a server is known: loopback, and the `hosts` that it is called by."""

    def __init__(self, port: int, *hosts: str) -> None:
        names = ("localhost", "127.0.0.1", "[::1]", *(f"[{host}]" if ":" in host else host.lower() for host in hosts))
        self._addresses = frozenset(f"{name}:{port}" for name in names)

    def refusal(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """Return why a request is refused, by its headers in lower case; None when it comes from a program of ours."""
        hosts = 0
        for name, value in headers:
            if name == "host":
                hosts += 1
            if not self._is_own(name, value.strip().lower()):
                return f"{name}: {value}"
        return None if hosts == 1 else f"{hosts} Host headers"

    def _is_own(self, name: str, value: str) -> bool:
        if name == "host":
            return _with_port(value) in self._addresses
        if name in {"origin", "referer"}:
            return value.startswith("http://") and _with_port(value.split("/")[2]) in self._addresses
        return name != "sec-fetch-site" or value in _OWN_PAGE


def _with_port(address: str) -> str:
    return address if _PORT.search(address) else f"{address}:80"
