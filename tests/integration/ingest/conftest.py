"""A server over the log in memory, for tests that speak HTTP in bytes."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.ingest.wire import Server, serving
from tests.integration.sinks.conftest import bucket, s3
from tests.support.clock import FakeClock

__all__ = ["bucket", "s3", "server"]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Give a server with two secrets and a body limit of 64 KiB."""
    async with serving() as running:
        yield running


@pytest.fixture
async def patient() -> AsyncIterator[Server]:
    """Give one whose clock stands still: however slow the machine is, no callback is answered 503 for its long wait."""
    async with serving(clock=FakeClock(), ingest_flush_ms=0) as running:
        yield running
