"""
Fixtures of all fault tests: those of the sinks.
"""

from tests.integration.sinks.conftest import database, running, settings, spare_databases, tables, topics

__all__ = ["database", "running", "settings", "spare_databases", "tables", "topics"]
