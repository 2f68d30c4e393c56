"""
A dashboard as plain values: rows of panels, each with its queries. Grafana's JSON, the tests and the pictures follow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["lines", "number", "table", "bars"]
COLUMNS: Final = 24
"""Of Grafana's grid."""


@dataclass(frozen=True, slots=True)
class PromQL:
    """A query of Prometheus; `legend` names a series by its labels, `{{job}}`."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class SQL:
    """
    A query of ClickHouse.

    `$__timeFilter(column)`, `$__timeInterval(column)`, `$__fromTime` and `$__toTime` are macros of Grafana.

    For lines the first column is the time; a column of text names the line.
    """

    statement: str


@dataclass(frozen=True, slots=True)
class Panel:
    """
    One panel. `about` says what it shows, for people; `unit` is Grafana's name of one.

    `may_be_empty` says why it shows nothing while all is well; without it, no answer is a fault. `units` are those of
    columns of a table that have one of their own.
    """

    title: str
    about: str
    kind: Kind
    queries: tuple[PromQL | SQL, ...]
    unit: str = "short"
    width: int = 8
    height: int = 8
    may_be_empty: str = ""
    units: Mapping[str, str] | None = None
    worse_from: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside and below each other, under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `name` is that of its file and its address in Grafana. It shows the last so many `hours`."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    hours: int

    @property
    def panels(self) -> Iterator[Panel]:
        """Yield all panels."""
        for row in self.rows:
            yield from row.panels
