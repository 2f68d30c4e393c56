"""
Fixtures of all fault tests: those of the sinks, and no garbage for the next test.
"""

import gc
import logging
from collections.abc import Iterator

import pytest

from tests.integration.sinks.conftest import database, running, settings, spare_databases, tables, topics

__all__ = ["database", "running", "settings", "spare_databases", "tables", "topics"]


@pytest.fixture(autouse=True)
def _no_garbage_for_others() -> Iterator[None]:
    """
    Collect what a test leaves: kafka-python lets the collector close the sockets of its failed attempts.

    Its log records would keep the sockets until the next test.
    """
    kafka = logging.getLogger("kafka")
    level = kafka.level
    kafka.setLevel(logging.CRITICAL)
    yield
    kafka.setLevel(level)
    gc.collect()
