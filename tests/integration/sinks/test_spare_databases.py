"""
A copied database is what the files of the schema make.
"""

from collections.abc import Iterator

import pytest

from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.migrate import migrate, verify
from sinks.settings import SinksSettings
from tests.integration.sinks.spare_databases import SpareDatabases, form_of

pytestmark = pytest.mark.clickhouse


@pytest.fixture
def copied(tables: ClickHouse, settings: SinksSettings, spare_databases: SpareDatabases) -> Iterator[ClickHouse]:
    name = f"{settings.clickhouse_database}_copy"
    spare_databases.copy(name, tables)
    copy = connect(settings, database=name)
    yield copy
    copy.execute(f"DROP DATABASE `{name}`")
    copy.close()


def test_a_copied_database_has_the_form_of_the_first(
    tables: ClickHouse, copied: ClickHouse, spare_databases: SpareDatabases
) -> None:
    assert form_of(copied) == form_of(tables) == spare_databases.form
    verify(copied)
    assert migrate(copied, cluster=None) == []
