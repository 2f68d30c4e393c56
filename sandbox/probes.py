"""
How it is found out whether a program is ready.
"""

import urllib.error
import urllib.request
from typing import Final

_PROBE_SECONDS: Final = 2.0
# Proxies of the environment have no say about this machine.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers_ok(url: str) -> bool:
    """Return whether a GET of an `http://` address is answered with 200."""
    try:
        with _DIRECT.open(url, timeout=_PROBE_SECONDS) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's own number
    except (OSError, urllib.error.HTTPError):
        return False
