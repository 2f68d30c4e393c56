"""
Fixtures of all fault tests: those of the sinks.
"""

from tests.integration.sinks.conftest import bucket, database, running, s3, settings, spare_databases, tables, topics

__all__ = ["bucket", "database", "running", "s3", "settings", "spare_databases", "tables", "topics"]
