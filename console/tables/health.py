"""
Questions about the pipeline itself: how much comes, and how late it is here.
"""

from datetime import datetime

from console.tables.clickhouse import Row, Rows, Tables
from console.words.times import moment_of


class HealthTables:
    """The pipeline as ClickHouse shows it. Every method raises AwayError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def pace(self) -> Rows:
        """Return applied changes by minute of receipt in the last hour, beside the same minutes of the last seven days."""
        return await self._tables.rows(
            """
            SELECT ago, sumIf(n, day = 0) AS changes, sumIf(n, day > 0) / greatest(1, uniqIf(day, day > 0)) AS usual FROM
            (
                SELECT intDiv(dateDiff('second', received_at, now()), 86400) AS day,
                    intDiv(dateDiff('second', received_at, now()) % 86400, 60) AS ago, count() AS n
                FROM sms_status_history
                WHERE received_at > now() - INTERVAL 8 DAY AND dateDiff('second', received_at, now()) % 86400 < 3600
                GROUP BY day, ago
            )
            GROUP BY ago ORDER BY ago DESC LIMIT 61
            """,
            None,
            10.0,
        )

    async def fresh(self) -> Row:
        """Return the newest receipt that is in the tables, and what the last day had of conflicts and open SMS."""
        rows = await self._tables.rows(
            """
            SELECT max(received_at) AS newest, count() AS changes, countIf(conflicts > 0) AS conflicts
            FROM sms_status_history WHERE received_at > now() - INTERVAL 1 DAY
            """,
            None,
            2.0,
        )
        return rows[0]

    async def last(self) -> datetime | None:
        """Return the newest receipt of all that the tables have; None without any. It reads a whole column."""
        rows = await self._tables.rows(
            "SELECT max(received_at) AS newest, count() AS sms FROM sms_status WHERE NOT is_superseded", None, 60.0
        )
        return moment_of(rows[0]["newest"]) if rows[0]["sms"] else None

    async def stuck(self) -> int:
        """Return how many SMS have been open for more than an hour."""
        rows = await self._tables.rows("SELECT count() AS n FROM stuck_messages(older_than_seconds = 3600)", None, 30.0)
        return int(rows[0]["n"])

    async def backfill(self) -> Row:
        """Return what backfill has filled in seven days, the SMS that are still missing, and until when Routee can be asked."""
        rows = await self._tables.rows(
            """
            SELECT sum(healed) AS healed, sum(still_missing) AS missing, sum(sms) AS sms,
                (SELECT count() FROM backfill_deadline WHERE NOT is_gone) AS open_days,
                (SELECT min(deadline) FROM backfill_deadline WHERE NOT is_gone) AS deadline,
                (SELECT sum(messages) FROM backfill_deadline WHERE is_gone) AS gone
            FROM lost_callbacks WHERE day > today() - 7
            """,
            None,
            30.0,
        )
        return rows[0]

    async def schema(self) -> str:
        """Return the number of the newest file of the schema that was applied."""
        rows = await self._tables.rows("SELECT max(version) AS version FROM schema_migrations", None, 60.0)
        return str(rows[0]["version"])
