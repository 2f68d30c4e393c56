"""
The dashboard of deliveries: how many SMS arrive, how fast, and for how much.
"""

from typing import Final

from tests.dashboards.panels import SQL, Dashboard, Panel, PromQL, Row

_SENT: Final = "FROM sms WHERE $__timeFilter(first_received_at)"

_ALARMS: Final = Row(
    "Alarms",
    (
        Panel(
            "Open alarms",
            "Of operators, senders and the whole account. A suspected alarm is shown here alone.",
            "table",
            (PromQL("max by (kind, subject, level) (routee_streams_alarm_open)"),),
            width=24,
            height=5,
            may_be_empty="no operator does worse than it used to",
        ),
    ),
)

_SUMS: Final = Row(
    "Sent in this time",
    (
        Panel("SMS", "Parts, as they are billed.", "number", (SQL(f"SELECT count() AS sms {_SENT}"),), "short", 6, 4),
        Panel(
            "Delivered",
            "Of the SMS whose fate is known, the share that was delivered.",
            "number",
            (SQL(f"SELECT countIf(status = 'Delivered') / countIf(is_final) AS delivered {_SENT}"),),
            "percentunit",
            6,
            4,
        ),
        Panel(
            "Under way",
            "SMS without a final status.",
            "number",
            (SQL(f"SELECT countIf(NOT is_final) AS under_way {_SENT}"),),
            "short",
            6,
            4,
        ),
        Panel(
            "Spent",
            "Prices of all SMS, in the currency of the account.",
            "number",
            (SQL(f"SELECT sum(price) AS price {_SENT}"),),
            "short",
            6,
            4,
        ),
    ),
)

_TIME: Final = Row(
    "Over time",
    (
        Panel(
            "SMS, by status",
            "By the time at which they were first heard of, in the status that they have now.",
            "lines",
            (
                SQL(
                    f"SELECT $__timeInterval(first_received_at) AS time, status, count() AS sms {_SENT} "
                    "GROUP BY time, status ORDER BY time, status"
                ),
            ),
            width=12,
            stacked=True,
        ),
        Panel(
            "Delivered, by country",
            "Share of the SMS whose fate is known, by the time of their first callback. The five largest countries.",
            "lines",
            (
                SQL(
                    "SELECT $__timeInterval(first_received_at) AS time, country, "
                    f"countIf(status = 'Delivered') / countIf(is_final) AS delivered {_SENT} AND is_final "
                    f"AND country IN (SELECT country {_SENT} GROUP BY country ORDER BY count() DESC LIMIT 5) "
                    "GROUP BY time, country ORDER BY time, country"
                ),
            ),
            "percentunit",
            12,
        ),
    ),
)

_ROUTES: Final = Row(
    "Operators",
    (
        Panel(
            "Operators",
            "Delivered: of the SMS whose fate is known. Half, and nine of ten, of these took less seconds.",
            "table",
            (
                SQL(
                    "SELECT country, operator, count() AS sms, "
                    "countIf(status = 'Delivered') / nullIf(countIf(is_final), 0) AS delivered, "
                    "quantileIf(0.5)(latency_seconds, status = 'Delivered') AS half, "
                    "quantileIf(0.9)(latency_seconds, status = 'Delivered') AS nine_of_ten, "
                    "sum(conflicts) AS contradictions "
                    f"{_SENT} GROUP BY country, operator ORDER BY sms DESC LIMIT 50"
                ),
            ),
            width=14,
            units={"delivered": "percentunit", "half": "s", "nine_of_ten": "s"},
        ),
        Panel(
            "Why SMS were not delivered",
            "In the words of Routee.",
            "bars",
            (
                SQL(
                    "SELECT ifNull(detailed_status, 'no reason') AS reason, count() AS sms "
                    f"{_SENT} AND is_final AND status != 'Delivered' GROUP BY reason ORDER BY sms DESC LIMIT 10"
                ),
            ),
            width=10,
        ),
    ),
)

_ROUTES_BY_HOUR: Final = "FROM delivery_by_operator WHERE hour >= $__fromTime - 3600 AND hour <= $__toTime"
_TIMES_BY_HOUR: Final = "FROM sla_by_operator WHERE hour >= $__fromTime - 3600 AND hour <= $__toTime"
_ROUTE: Final = "concat(ifNull(country, '?'), ' ', ifNull(operator, '?'))"

_WINDOWS: Final = Row(
    "By the time of sending",
    (
        Panel(
            "Delivered, by hour of sending",
            "Share of the SMS whose fate is known, by the hour in which they were sent. The five largest routes.",
            "lines",
            (
                SQL(
                    f"SELECT hour AS time, {_ROUTE} AS route, sum(delivered) / sum(final) AS share "
                    f"{_ROUTES_BY_HOUR} AND final > 0 AND route IN "
                    f"(SELECT {_ROUTE} AS largest {_ROUTES_BY_HOUR} GROUP BY largest ORDER BY sum(sms) DESC LIMIT 5) "
                    "GROUP BY time, route ORDER BY time, route"
                ),
            ),
            "percentunit",
            12,
        ),
        Panel(
            "Delivered within",
            "Share of the delivered SMS that took at most so long, by hours of sending.",
            "table",
            (
                SQL(
                    "SELECT country, operator, sum(timed) AS sms, sum(within_10s) / nullIf(sms, 0) AS within_10_s, "
                    "sum(within_60s) / nullIf(sms, 0) AS within_1_min, "
                    "sum(within_300s) / nullIf(sms, 0) AS within_5_min "
                    f"{_TIMES_BY_HOUR} "
                    "GROUP BY country, operator ORDER BY sms DESC LIMIT 50"
                ),
            ),
            width=12,
            units={"within_10_s": "percentunit", "within_1_min": "percentunit", "within_5_min": "percentunit"},
        ),
    ),
)

_CAMPAIGNS: Final = Row(
    "Campaigns",
    (
        Panel(
            "Campaigns",
            "The newest ones, and whether Routee's own numbers are those of its callbacks.",
            "table",
            (
                SQL(
                    "SELECT name, campaign_status, total_recipients AS recipients, messages, messages_final AS final, "
                    "progress, reconciliation FROM campaigns WHERE $__timeFilter(first_received_at) "
                    "ORDER BY first_received_at DESC, name LIMIT 20"
                ),
            ),
            width=24,
            units={"progress": "percentunit"},
        ),
    ),
)

_MONEY: Final = Row(
    "Money, and what is odd",
    (
        Panel(
            "Cost, by country",
            "The price of all SMS, and of final SMS that were not delivered.",
            "table",
            (
                SQL(
                    "SELECT country, sum(price) AS spent, sumIf(price, is_final AND status != 'Delivered') AS wasted, "
                    "sum(price) / nullIf(countIf(status = 'Delivered'), 0) AS per_delivered "
                    f"{_SENT} GROUP BY country ORDER BY spent DESC LIMIT 20"
                ),
            ),
            width=12,
        ),
        Panel(
            "Without an end for over an hour",
            "SMS without a final status after an hour: lost callbacks, or operators that never answer.",
            "table",
            (
                SQL(
                    "SELECT country, operator, status, count() AS sms, min(first_received_at) AS since "
                    f"{_SENT} AND NOT is_final AND first_received_at < now() - 3600 "
                    "GROUP BY country, operator, status ORDER BY sms DESC LIMIT 20"
                ),
            ),
            width=12,
            may_be_empty="every SMS has an end within an hour",
        ),
    ),
)

DELIVERY: Final = Dashboard(
    "delivery",
    "Routee callbacks: delivery",
    "How much of what was sent arrives, how fast, for how much, and why not.",
    (_ALARMS, _SUMS, _TIME, _ROUTES, _WINDOWS, _CAMPAIGNS, _MONEY),
    hours=24,
)
