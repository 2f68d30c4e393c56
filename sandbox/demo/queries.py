"""
Questions to ask next, as they are shown with their answers.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Query:
    """A question in words and in SQL."""

    question: str
    sql: str


QUERIES: Final = (
    Query(
        "How did each operator deliver, by hour of sending?",
        "SELECT hour, country, operator, sms, delivered, round(delivered_per_final, 3) AS rate\n"
        "FROM delivery_by_operator\nORDER BY hour, sms DESC, operator\nLIMIT 8",
    ),
    Query(
        "Which operators are slow?",
        "SELECT country, operator, delivered, p50, p90, p99\nFROM latency_by_operator\n"
        "ORDER BY p90 DESC, p99 DESC\nLIMIT 5",
    ),
    Query(
        "What did undelivered SMS cost, and where?",
        "SELECT country, sum(c.sms) AS sms, sum(c.price_total) AS price_total, sum(c.price_wasted) AS price_wasted\n"
        "FROM cost_by_country AS c\nGROUP BY country\nORDER BY price_wasted DESC\nLIMIT 5",
    ),
)
