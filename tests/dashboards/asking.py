"""
The answers to the queries of panels, from the real Prometheus and the real ClickHouse.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from sandbox.audit.clickhouse import ClickHouse
from tests.dashboards.panels import SQL, Panel, PromQL
from tests.support.monitoring import Prometheus

# Rows are a few a second, scrapes many: shares of so few would jump.
_COARSER: Final = 8
_MACRO: Final = re.compile(r"\$__(timeFilter|timeInterval)\(([^)]*)\)")
_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")


class Span(NamedTuple):
    """The time that a dashboard shows, in seconds since 1970, and the distance of its points."""

    start: float
    end: float
    step: float


@dataclass
class Answer:
    """The contents of a panel: lines by their names, as points of time and value, or the rows of a table."""

    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lines or self.rows)

    @property
    def number(self) -> float | None:
        """Return the one number; None when there is none."""
        return next((float(value) for row in self.rows for value in row.values() if value is not None), None)


class Sources(NamedTuple):
    """Where Grafana would ask."""

    prometheus: Prometheus
    clickhouse: ClickHouse

    def answer(self, panel: Panel, span: Span) -> Answer:
        """Return the answer to all queries of a panel. QueryError or SourceError when one cannot be answered."""
        answer = Answer()
        for query in panel.queries:
            if isinstance(query, SQL):
                self._sql(panel, query, span, answer)
            else:
                self._promql(panel, query, span, answer)
        return answer

    def _promql(self, panel: Panel, query: PromQL, span: Span, answer: Answer) -> None:
        # Grafana: four times the interval of the scrapes, at least.
        expression = query.expression.replace("$__rate_interval", f"{max(int(4 * span.step), 8)}s")
        if panel.kind == "lines":
            for labels, points in self.prometheus.over_time(expression, *span):
                answer.lines[_name(query.legend, labels)] = [(at, value) for at, value in points if value == value]  # noqa: PLR0124 - not NaN
        else:
            for labels, value in self.prometheus.now(expression):
                if value == value:  # noqa: PLR0124 - not NaN
                    answer.rows.append({**labels, "value": value} if panel.kind == "table" else {"value": value})

    def _sql(self, panel: Panel, query: SQL, span: Span, answer: Answer) -> None:
        rows = list(self.clickhouse.rows(expanded(query.statement, span)))
        if panel.kind != "lines":
            answer.rows.extend(rows)
            return
        for row in rows:
            at, *names, value = row.values()
            moment = datetime.fromisoformat(at).timestamp()
            answer.lines.setdefault(" ".join(names) or "value", []).append((moment, float(value)))


def expanded(statement: str, span: Span) -> str:
    """Return SQL with the macros of Grafana's data source for ClickHouse replaced, as that does."""
    macros = {
        "timeFilter": lambda column: (
            f"({column} >= toDateTime({int(span.start)}) AND {column} <= toDateTime({int(span.end) + 1}))"
        ),
        "timeInterval": lambda column: (
            f"toStartOfInterval(toDateTime({column}, 'UTC'), INTERVAL {max(1, int(span.step * _COARSER))} second)"
        ),
    }
    statement = statement.replace("$__fromTime", f"toDateTime({int(span.start)})")
    statement = statement.replace("$__toTime", f"toDateTime({int(span.end) + 1})")
    return _MACRO.sub(lambda found: macros[found[1]](found[2]), statement)


def _name(legend: str, labels: dict[str, str]) -> str:
    return _LABEL.sub(lambda found: labels.get(found[1], ""), legend).strip() or "value"
