"""
Questions about campaigns.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from console.live.picture import Point, point_of
from console.records import Campaign, campaign_of
from console.tables.clickhouse import Row, Rows, Tables

PAGE: Final = 50
SORTS: Final = {
    "finished": "last_received_at",
    "messages": "greatest(messages, ifNull(total_recipients, 0))",
    "delivered": "ifNull(delivery_rate, -1)",
    "cost": "price_total",
}
PERIODS: Final = {"7": 7, "31": 31, "all": 0}
VERDICTS: Final = {
    "": "1",
    "differs": "reconciliation = 'mixed'",
    "behind": "reconciliation = 'behind'",
    "unreported": "reconciliation IN ('unreported', 'underived')",
}
_CAMPAIGNS: Final = "SELECT * FROM campaigns WHERE"
_POINTS: Final = 240
_LONG: Final = 30.0


class CampaignTables:
    """Campaigns as ClickHouse has them. Every method raises AwayError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def running(self, now: datetime) -> list[Campaign]:
        """Return the campaigns that are not final and were heard of within two days, the newest first."""
        rows = await self._tables.rows(
            f"{_CAMPAIGNS} NOT is_final AND last_received_at > {{since:DateTime64(3, 'UTC')}} "
            "ORDER BY first_received_at DESC LIMIT 200",
            {"since": _time(now.replace(second=0, microsecond=0) - timedelta(days=2))},
        )
        return [*map(_campaign, rows)]

    async def finished(  # noqa: PLR0913 - a form has these fields
        self,
        now: datetime,
        *,
        name: str,
        days: int,
        verdict: str,
        sort: str,
        ascending: bool,
        page: int,
        most: int = PAGE,
    ) -> tuple[list[Campaign], int]:
        """Return a page of finished campaigns, and how many there are in all."""
        since = now.replace(second=0, microsecond=0) - timedelta(days=days) if days else None
        where = f"is_final AND {VERDICTS[verdict]}"
        asked: dict[str, Any] = {"skip": page * most, "most": most}
        if since:
            where += " AND last_received_at > {since:DateTime64(3, 'UTC')}"
            asked["since"] = _time(since)
        if name:
            where += " AND (positionCaseInsensitiveUTF8(ifNull(name, ''), {name:String}) > 0 OR startsWith(lower(campaign_tracking_id), lower({name:String})))"
            asked["name"] = name
        order = f"{SORTS[sort]} {'ASC' if ascending else 'DESC'}, campaign_tracking_id"
        rows = await self._tables.rows(
            f"{_CAMPAIGNS} {where} ORDER BY {order} LIMIT {{most:UInt32}} OFFSET {{skip:UInt32}}", asked
        )
        count = await self._tables.rows(f"SELECT count() AS n FROM campaigns WHERE {where}", asked)
        return [*map(_campaign, rows)], count[0]["n"]

    async def one(self, key: str) -> Campaign | None:
        """Return a campaign by its id, in any case; None when it is unknown."""
        rows = await self._tables.rows(
            f"{_CAMPAIGNS} campaign_tracking_id IN ({{key:String}}, lower({{key:String}}), upper({{key:String}})) LIMIT 1",
            {"key": key},
        )
        return _campaign(rows[0]) if rows else None

    async def curve(self, campaign: Campaign) -> list[Point]:
        """Return a campaign over time, a few hundred points at most: the last state of each step, and each report."""
        rows = await self._tables.rows(
            """
            SELECT * FROM
            (
                SELECT *, reported_by_status != lagInFrame(reported_by_status, 1, map()) OVER w AS is_report,
                    intDiv(toUnixTimestamp64Milli(last_received_at) - min(toUnixTimestamp64Milli(last_received_at)) OVER (),
                        greatest(1000, intDiv(max(toUnixTimestamp64Milli(last_received_at)) OVER ()
                            - min(toUnixTimestamp64Milli(last_received_at)) OVER (), {points:UInt32}))) AS step
                FROM campaign_history
                WHERE campaign_tracking_id = {key:String}
                WINDOW w AS (ORDER BY generation, revision)
            )
            ORDER BY generation DESC, revision DESC
            LIMIT 1 BY step, is_report
            """,
            {"key": campaign.campaign_tracking_id, "points": _POINTS},
            2.0 if not campaign.is_final else _LONG,
        )
        return points_of([*map(_campaign, reversed(rows))])

    async def by_operator(self, key: str) -> Rows:
        """Return counts of SMS, cost and latency by country and operator."""
        return await self._tables.rows(
            """
            SELECT country, operator, count() AS sms, countIf(is_final) AS final, countIf(status = 'Delivered') AS delivered,
                sumMap(map(toString(status), 1)) AS by_status, sum(price) AS price_total,
                if(delivered = 0, NULL, quantileIf(0.5)(latency_seconds, status = 'Delivered')) AS p50,
                if(delivered = 0, NULL, quantileIf(0.9)(latency_seconds, status = 'Delivered')) AS p90,
                groupUniqArray(5)(ifNull(sender, '')) AS senders, groupUniqArray(5)(ifNull(label, '')) AS labels
            FROM sms WHERE campaign_tracking_id = {key:String}
            GROUP BY country, operator ORDER BY sms DESC LIMIT 100
            """,
            {"key": key},
            4.0,
        )

    async def reasons(self, key: str) -> Rows:
        """Return why SMS were not delivered, and at which operators."""
        return await self._tables.rows(
            """
            SELECT toString(status) AS status, detailed_status, any(status_description) AS description, count() AS sms,
                topK(3)(ifNull(operator, 'an operator that is not known')) AS operators, uniq(operator) AS places
            FROM sms WHERE campaign_tracking_id = {key:String} AND is_final AND status != 'Delivered'
            GROUP BY status, detailed_status ORDER BY sms DESC LIMIT 30
            """,
            {"key": key},
            4.0,
        )

    async def by_parts(self, key: str) -> Rows:
        """Return messages by their number of parts: delivered whole, in part, and with a part that was never heard of."""
        return await self._tables.rows(
            """
            SELECT parts, count() AS messages, countIf(status = 'Delivered') AS whole,
                countIf(status != 'Delivered' AND message_id IN (
                    SELECT message_id FROM sms WHERE campaign_tracking_id = {key:String} AND status = 'Delivered')) AS in_part,
                countIf(parts_seen < parts) AS missing, sum(parts) AS billed
            FROM messages WHERE campaign_tracking_id = {key:String}
            GROUP BY parts ORDER BY parts LIMIT 20
            """,
            {"key": key},
            4.0,
        )

    async def cohorts(self, keys: list[str]) -> Rows:
        """Return SMS by campaign, route and half minute of sending: all of them, and the final ones."""
        return await self._tables.rows(
            """
            SELECT campaign_tracking_id AS campaign, country, operator,
                toStartOfInterval(coalesce(sending_at, queued_at, sent_at, first_received_at), INTERVAL 30 second) AS sending,
                count() AS sms, countIf(is_final) AS final
            FROM sms WHERE campaign_tracking_id IN {keys:Array(String)}
            GROUP BY campaign, country, operator, sending ORDER BY sending
            LIMIT 20000
            """,
            {"keys": keys},
            8.0,
        )

    async def survival(self) -> Rows:
        """Return the last day's cells by route and age: SMS, final, delivered, and how long the delivered took."""
        return await self._tables.rows(
            f"""
            SELECT country, operator,
                arrayFirstIndex(bound -> bound > dateDiff('second', window_end, now()), {{bounds:Array(UInt32)}}) AS age,
                sum(parts) AS sms, sum(final) AS final, sum(delivered) AS delivered,
                [{", ".join(f"sum(latency_{bound})" for bound in BOUNDS)}] AS within
            FROM delivery_cells
            WHERE window_start > now() - INTERVAL 1 DAY AND window_end < now()
            GROUP BY country, operator, age
            LIMIT 50000
            """,
            {"bounds": [*BOUNDS]},
            60.0,
        )


BOUNDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 43200, 86400)
"""The bounds of `delivered_by_latency`, in seconds."""


def points_of(states: list[Campaign]) -> list[Point]:
    """Return the points of states in their order."""
    return [point_of(one, before) for one, before in zip(states, [None, *states], strict=False)]


def _campaign(row: Row) -> Campaign:
    return campaign_of(row)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
