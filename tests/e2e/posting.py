"""
Posting callbacks as a client would, and making old samples young.
"""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.wait import eventually

SAMPLES = Path(__file__).parents[1] / "samples"
_DATE = re.compile(rb'"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d(?:\.\d+)?Z)"')


def post(url: str, body: bytes) -> int:
    """Return the status of the answer; like Routee, post again when Kafka was too slow and the answer was 503."""
    return eventually(lambda: _post(url, body) or 0, deadline=60)


def _post(url: str, body: bytes) -> int | None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        return None if status == HTTPStatus.SERVICE_UNAVAILABLE else status
    finally:
        connection.close()


def sample(name: str) -> bytes:
    """
    Return a sample with its dates moved to yesterday, and with other ids than the README's.

    Streams refuses callbacks older than its retention.
    """
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d").encode()
    (file,) = SAMPLES.glob(f"{name}.*.json")
    body = file.read_bytes().replace(b"5b1c9f0a", b"5b1c9f0e").replace(b"c0ffee00", b"c0ffee0e")
    return _DATE.sub(rb'"%bT\1"' % yesterday, body)
