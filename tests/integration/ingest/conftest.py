"""A server over the log in memory, for tests that speak HTTP in bytes."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.ingest.wire import Server, serving
from tests.integration.sinks.conftest import bucket, s3

__all__ = ["bucket", "s3", "server"]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Give a server with two secrets and a body limit of 64 KiB."""
    async with serving() as running:
        yield running
