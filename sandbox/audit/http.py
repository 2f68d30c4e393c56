"""
HTTP to the programs of a sandbox, past any proxy that the environment names.
"""

from typing import Final
from urllib.request import ProxyHandler, Request, build_opener

_TIMEOUT_SECONDS: Final = 60.0
_DIRECT: Final = build_opener(ProxyHandler({}))


def fetch(request: Request | str) -> bytes:
    """Return the body of a good answer; HTTPError for any other, OSError when there is none."""
    with _DIRECT.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        return bytes(answer.read())
