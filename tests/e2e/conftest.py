"""
The whole pipeline, started once for all end-to-end tests by the sandbox's own code, and stopped after them.
"""

from collections.abc import Iterator

import pytest

from sandbox.audit.clickhouse import ClickHouse
from sandbox.stack import Sandbox
from sandbox.temporary import RULES, temporary_settings


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Give a running sandbox, in a folder and on ports of its own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in RULES.items():
            environment.setenv(name, value)
        with Sandbox(temporary_settings(tmp_path_factory.mktemp("sandbox"))) as running:
            yield running


@pytest.fixture(scope="package")
def database(sandbox: Sandbox) -> ClickHouse:
    """Give the sandbox's ClickHouse, for queries."""
    settings = sandbox.settings
    return ClickHouse(sandbox.addresses.clickhouse, settings.clickhouse_user, settings.clickhouse_database)
