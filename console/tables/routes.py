"""
Questions about routes: an operator in a country.
"""

from typing import Any, Final

from console.live.routes import SOON
from console.tables.campaigns import BOUNDS
from console.tables.clickhouse import Rows, Tables

_SOON: Final = " + ".join(f"sum(latency_{bound})" for bound in BOUNDS if bound <= SOON)
_WITHIN: Final = ", ".join(f"sum(latency_{bound})" for bound in BOUNDS)
_FILTER: Final = (
    "({country:String} = '' OR country = {country:String}) AND ({sender:String} = '' OR sender = {sender:String})"
)


class RouteTables:
    """Routes as ClickHouse has them. Every method raises AwayError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def usual(self, country: str = "", sender: str = "") -> Rows:
        """Return each route's last seven days but the last hour: share soon (10, 50, 90 of 100 windows), latencies, volume."""
        return await self._tables.rows(
            f"""
            SELECT country, operator, sum(sms_of) AS sms, sum(final_of) AS final, sum(delivered_of) AS delivered,
                quantilesIf(0.1, 0.5, 0.9)(soon_of / sms_of, sms_of >= 10) AS soon, countIf(sms_of >= 10) AS windows,
                sumForEach(within_of) AS within, dateDiff('minute', min(window_start), now()) / 60 AS hours,
                sum(price_of) AS price_total
            FROM
            (
                SELECT country, operator, window_start, sum(parts) AS sms_of, sum(final) AS final_of,
                    sum(delivered) AS delivered_of, {_SOON} AS soon_of, [{_WITHIN}] AS within_of, sum(price_total) AS price_of
                FROM delivery_cells
                WHERE window_start > now() - INTERVAL 7 DAY AND window_end < now() - INTERVAL 1 HOUR AND {_FILTER}
                GROUP BY country, operator, window_start
            )
            GROUP BY country, operator ORDER BY sms DESC LIMIT 1000
            """,
            {"country": country, "sender": sender},
            60.0,
        )

    async def now(self, country: str = "", sender: str = "") -> Rows:
        """Return each route's last hour: SMS, latencies, price, and the share soon of the windows that can be judged."""
        return await self._tables.rows(
            f"""
            SELECT country, operator, sum(sms_of) AS sms, sum(price_of) AS price_total, sum(priced_of) AS priced,
                sumForEach(within_of) AS within,
                sumIf(sms_of, is_told) AS judged, sumIf(soon_of, is_told) AS soon
            FROM
            (
                SELECT country, operator, window_start, sum(parts) AS sms_of, sum(price_total) AS price_of,
                    sum(parts) - sum(unpriced) AS priced_of, {_SOON} AS soon_of, [{_WITHIN}] AS within_of,
                    any(window_end) < now() - INTERVAL {SOON} SECOND AND any(window_end) > now() - INTERVAL 25 MINUTE AS is_told
                FROM delivery_cells
                WHERE window_start > now() - INTERVAL 65 MINUTE AND {_FILTER}
                GROUP BY country, operator, window_start
            )
            GROUP BY country, operator ORDER BY sms DESC LIMIT 1000
            """,
            {"country": country, "sender": sender},
            4.0,
        )

    async def day(self, country: str = "", sender: str = "") -> Rows:
        """Return each route's share soon over the last 24 hours, a point for each quarter of an hour."""
        return await self._tables.rows(
            f"""
            SELECT country, operator, groupArray((ago, share)) AS points FROM
            (
                SELECT country, operator, intDiv(dateDiff('second', window_start, now()), 900) AS ago,
                    ({_SOON}) / sum(parts) AS share
                FROM delivery_cells
                WHERE window_start > now() - INTERVAL 1 DAY AND window_end < now() - INTERVAL {SOON} SECOND AND {_FILTER}
                GROUP BY country, operator, ago HAVING sum(parts) >= 5 ORDER BY ago DESC
            )
            GROUP BY country, operator LIMIT 1000
            """,
            {"country": country, "sender": sender},
            30.0,
        )

    async def filters(self) -> dict[str, list[str]]:
        """Return the countries and the senders of the last seven days."""
        rows = await self._tables.rows(
            """
            SELECT groupUniqArray(300)(ifNull(country, '')) AS countries, groupUniqArray(300)(ifNull(sender, '')) AS senders
            FROM delivery_cells WHERE window_start > now() - INTERVAL 7 DAY
            """,
            None,
            60.0,
        )
        return {name: sorted(filter(None, rows[0][name])) for name in ("countries", "senders")}


def quantile(within: list[int] | None, share: float) -> float | None:
    """Return the seconds within which a share of a histogram lies, within a bound by even spreading; None without any."""
    total = sum(within or [])
    if not within or not total:
        return None
    wanted, count, before = share * total, 0, 0
    for bound, number in zip(BOUNDS, within, strict=True):
        if number and count + number >= wanted:
            return before + (bound - before) * (wanted - count) / number
        count, before = count + number, bound
    return None


def by_route(rows: Rows) -> dict[tuple[str | None, str | None], Any]:
    """Return rows by country and operator."""
    return {(row["country"], row["operator"]): row for row in rows}
