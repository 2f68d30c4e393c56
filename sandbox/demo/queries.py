"""
Two questions to ask next, as they are shown with their answers.
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
        "Which operators are slow?",
        "SELECT country, operator, delivered, p50, p90, p99\nFROM latency_by_operator\nORDER BY p90 DESC\nLIMIT 5",
    ),
    Query(
        "What did undelivered SMS cost, and where?",
        "SELECT country, sms, price_total, price_wasted\nFROM cost_by_country\nORDER BY price_wasted DESC\nLIMIT 5",
    ),
)
