"""A server over the log in memory, for tests that speak HTTP in bytes."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.ingest.wire import Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Give a server with two secrets and a body limit of 64 KiB."""
    async with serving() as running:
        yield running
