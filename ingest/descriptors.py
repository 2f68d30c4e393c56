"""
The limit of open files: each connection of a client is one, and so are Kafka's connections and all files.
"""

import resource
from typing import Final

_OTHERS: Final = 256


def most_connections(wanted: int) -> int:
    """Return how many connections of clients there may be, so that descriptors are left for all else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, soft - min(_OTHERS, soft // 2))
