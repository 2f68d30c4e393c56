"""
The databases of the sinks' tests.
"""

from tests.integration.sinks.conftest import database, empty, settings, spare_databases, tables

__all__ = ["database", "empty", "settings", "spare_databases", "tables"]
