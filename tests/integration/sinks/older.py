"""
A database of a former version of the schema.
"""

import pytest

from sinks.clickhouse import migrate as migrating
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations


def apply_until(clickhouse: ClickHouse, last: int) -> None:
    """Apply the files up to this one: the database is as the version with these files has left it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "known_migrations", lambda: known_migrations()[:last])
        migrating.migrate(clickhouse, None)
