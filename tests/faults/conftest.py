"""
What the fault tests of the sinks share with their integration tests.
"""

from tests.integration.sinks.conftest import running, settings, tables, topics

__all__ = ["running", "settings", "tables", "topics"]
