"""
Questions about refused callbacks.
"""

from console.tables.clickhouse import Rows, Tables


class RefusedTables:
    """Refused callbacks as ClickHouse has them. Every method raises AwayError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def by_reason(self, hours: int, stage: str) -> Rows:
        """Return refused callbacks by reason, program and hour before now."""
        return await self._tables.rows(
            """
            SELECT toString(reason) AS reason, toString(stage) AS stage, sum(n) AS callbacks, groupArray((step, n)) AS steps FROM
            (
                SELECT reason, stage, intDiv(dateDiff('second', received_at, now()), {step:UInt32}) AS step, count() AS n
                FROM rejections
                WHERE received_at > now() - toIntervalHour({hours:UInt32}) AND ({stage:String} = '' OR stage = {stage:String})
                GROUP BY reason, stage, step
            )
            GROUP BY reason, stage ORDER BY callbacks DESC LIMIT 100
            """,
            {"hours": hours, "stage": stage, "step": hours * 150},
            4.0,
        )

    async def samples(self, hours: int, stage: str, reason: str, each: int) -> Rows:
        """Return the newest refused callbacks, a few of each reason, or of one reason."""
        return await self._tables.rows(
            """
            SELECT received_at, toString(stage) AS stage, toString(reason) AS reason, detail, body, body_base64, redacted,
                `partition`, `offset`, `index`
            FROM rejections
            WHERE received_at > now() - toIntervalHour({hours:UInt32}) AND ({stage:String} = '' OR stage = {stage:String})
                AND ({reason:String} = '' OR reason = {reason:String})
            ORDER BY received_at DESC LIMIT {each:UInt32} BY reason, stage LIMIT 200
            """,
            {"hours": hours, "stage": stage, "reason": reason, "each": each},
            4.0,
        )

    async def accepted(self, hours: int) -> int:
        """Return how many SMS were heard of in these hours, for the share that was refused."""
        rows = await self._tables.rows(
            "SELECT count() AS n FROM sms_status_history WHERE received_at > now() - toIntervalHour({hours:UInt32})",
            {"hours": hours},
            10.0,
        )
        return int(rows[0]["n"])

    async def last(self) -> str | None:
        """Return when the last callback was refused, None when none is known."""
        rows = await self._tables.rows("SELECT max(received_at) AS at, count() AS n FROM rejections", None, 10.0)
        return str(rows[0]["at"]) if rows[0]["n"] else None
