"""
The free space of ClickHouse, as ClickHouse tells it.
"""

import logging
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.errors import SinksError
from streams.program.vitals import Disk

logger = logging.getLogger(__name__)

_DISKS: Final = "SELECT name, free_space, total_space FROM system.disks WHERE NOT is_remote"


def disks(clickhouse: ClickHouse) -> list[Disk]:
    """Return the local disks of the server that answers; none when the user may not see them."""
    try:
        return [Disk("clickhouse", name, free, size) for name, free, size in clickhouse.rows(_DISKS)]
    except SinksError as error:
        logger.debug("the free space of ClickHouse is not known", extra={"error": str(error)})
        return []
