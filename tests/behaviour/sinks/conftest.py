"""
The databases of the sinks' integration tests, which go from test to test.
"""

import pytest

from tests.integration.sinks.conftest import settings, spare_databases, tables
from tests.integration.sinks.spare_databases import SpareDatabases

__all__ = ["settings", "spare_databases", "tables"]


@pytest.fixture
def database(database: str, spare_databases: SpareDatabases) -> str:
    """Give the name of a database that no other test has at the time; of one that has the schema if one is spare."""
    return spare_databases.names.pop() if spare_databases.names else database
