"""
No statistics of columns that nothing reads. `routee-sinks schema` applies it.

Since 26.4 ClickHouse makes them of every column of a part that it merges: a quarter of the processor time of merges.
Views read with FINAL, which no statistics can help. It is no part of the numbered files: an older server does not know
the setting and would refuse the file.
"""

import logging
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations, render
from sinks.clickhouse.objects import objects_of
from sinks.errors import OldServerError

logger = logging.getLogger(__name__)

_SETTING: Final = "auto_statistics_types"
_SINCE: Final = (26, 4)
_TABLES: Final = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"


def leave_out_statistics(clickhouse: ClickHouse, cluster: str | None) -> list[str]:
    """
    Let merges make none for our tables, and return the changed ones; one that has the setting keeps its own.

    In a cluster servers may be older than the one that is asked: the others do what these refuse.
    """
    # Not `system.merge_tree_settings`, which a user with rights on the database alone may not read.
    year, release, *_ = clickhouse.value("SELECT version()").split(".")
    if (int(year), int(release)) < _SINCE:
        return []
    ours = {it.name for it in objects_of(known_migrations()).values() if it.keeps_rows}
    due = [name for name, engine in clickhouse.rows(_TABLES) if name in ours and _SETTING not in engine]
    refused = []
    for name in due:
        try:
            clickhouse.execute(render(f"ALTER TABLE {name} {{{{on_cluster}}}} MODIFY SETTING {_SETTING} = ''", cluster))
        except OldServerError:
            if cluster is None:
                raise
            refused.append(name)
    if refused:
        logger.warning(
            "a server of the cluster is older than 26.4: it does not know %s, and the others have it now. After its "
            "upgrade run there, for each of these tables: ALTER TABLE … MODIFY SETTING %s = ''",
            *(_SETTING, _SETTING),
            extra={"tables": ", ".join(refused)},
        )
    return due
