"""
The registry of a program's metrics, for the programs that use the client library.
"""

from prometheus_client import CollectorRegistry, disable_created_metrics


def new_registry() -> CollectorRegistry:
    """
    Return an empty registry.

    From now on no counter of this process has a second series with the time of its creation: nothing asks for these,
    and they would double the series of counters.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has types, but not here
    return CollectorRegistry()
