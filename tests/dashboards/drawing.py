"""
Pictures of the dashboards for the documents: the answers to their queries, placed as Grafana places the panels.

They are no pictures of Grafana, which cannot run here.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from cycler import cycler
from matplotlib import dates
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from matplotlib.transforms import Bbox

from sandbox.audit.clickhouse import ClickHouse
from sandbox.stack import Sandbox
from sandbox.temporary import RULES, temporary_settings
from tests.dashboards.asking import Answer, Sources, Span
from tests.dashboards.files import DASHBOARDS
from tests.dashboards.panels import COLUMNS, SQL, Dashboard, Panel
from tests.support.markdown import ROOT
from tests.support.monitoring import FOLDER, Prometheus, what_is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

_CELL_WIDTH, _CELL_HEIGHT = 0.62, 0.3  # inches of a cell of Grafana's grid
_DOTS: Final = 90
_COLORS: Final = ("#3871dc", "#e0752d", "#3f9e56", "#a352cc", "#c4162a", "#0a7c91", "#8f6a00", "#6e6e6e")
_TEXT, _FAINT, _EDGE, _GOOD, _BAD = "#24292e", "#6a737d", "#dfe2e5", "#2f8a45", "#c4162a"
_STYLE: Final[Any] = {
    "font.size": 8.5,
    "axes.prop_cycle": cycler(color=_COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _EDGE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eef0f2",
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "text.color": _TEXT,
}
_CAMPAIGNS: Final = 3
_LONGEST_CELL: Final = 28
_SHORT_SECONDS: Final = 900
_SENT_WITHIN_SECONDS: Final = 24 * 3600


def draw_all(seconds: int) -> None:
    """Draw every dashboard after so many seconds of traffic; SystemExit with a line when Prometheus is missing."""
    if missing := what_is_missing("prometheus"):
        sys.exit(missing)
    with tempfile.TemporaryDirectory() as folder, _watched(Path(folder)) as (sandbox, sources):
        began = time.time()
        _send(sandbox.addresses.callback_url, seconds)
        now = time.time()
        span = Span(began, now, max(1.0, round((now - began) / 100)))
        for dashboard in DASHBOARDS:
            file = ROOT / "docs" / f"{dashboard.name}.png"
            file.parent.mkdir(exist_ok=True)
            _draw(dashboard, sources, span).savefig(file, dpi=_DOTS)
            sys.stdout.write(f"{file.relative_to(ROOT)}\n")


@contextmanager
def _watched(folder: Path) -> "Iterator[tuple[Sandbox, Sources]]":
    """Run the whole pipeline, and Prometheus, which looks at it."""
    os.environ.update(RULES)
    with Sandbox(temporary_settings(folder / "sandbox")) as sandbox:
        settings = sandbox.settings
        database = ClickHouse(sandbox.addresses.clickhouse, settings.clickhouse_user, settings.clickhouse_database)
        with Prometheus(folder / "prometheus", sandbox.addresses.pages) as prometheus:
            yield sandbox, Sources(prometheus, database)


def _send(url: str, seconds: int) -> None:
    """
    Send traffic in waves, so that the lines have a form: each wave is a few campaigns of another seed.

    The emulator's Routee sent them one after the other in the last day.
    """
    end, seed = time.monotonic() + seconds, 1
    began = datetime.now(UTC) - timedelta(seconds=_SENT_WITHIN_SECONDS)
    rates = (40, 90, 160, 110, 60, 130)
    while time.monotonic() < end:
        rate = rates[seed % len(rates)]
        traffic = (
            f"--campaigns {_CAMPAIGNS} --recipients {rate * 2} --singles {rate} --seed {seed} --rate {rate} "
            "--strategy mixed --duplicates 0.06 --lost 0.01 --conflicts 0.01 --malformed 0.003"
        )
        emulate = [str(Path(sys.executable).with_name("routee-sandbox")), "emulate", "--url", url]
        start = began + timedelta(seconds=_SENT_WITHIN_SECONDS * 0.85) * (1 - (end - time.monotonic()) / seconds)
        command = [*emulate, "--start", start.isoformat(), *traffic.split()]
        subprocess.run(command, check=True, capture_output=True, timeout=max(60, seconds))
        seed += 1


def _draw(dashboard: Dashboard, sources: Sources, span: Span) -> Figure:
    shown = json.loads((FOLDER / "grafana" / "dashboards" / f"{dashboard.name}.json").read_text())
    places = {panel["title"]: panel["gridPos"] for panel in shown["panels"] if panel["type"] != "row"}
    headings = [(panel["title"], panel["gridPos"]["y"]) for panel in shown["panels"] if panel["type"] == "row"]
    rows = max(place["y"] + place["h"] for place in places.values()) + 2
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(COLUMNS * _CELL_WIDTH, rows * _CELL_HEIGHT), facecolor="white")
        figure.text(0.012, 1 - 1.1 / rows, dashboard.title, size=14, weight="bold", va="center")
        for title, y in headings:
            figure.text(0.012, 1 - (y + 2.55) / rows, title, size=10.5, color=_FAINT, weight="bold", va="center")
        for panel in dashboard.panels:
            times = span if not _is_by_sending(panel) else Span(span.end - _SENT_WITHIN_SECONDS, span.end, 60)
            _panel(figure, panel, places[panel.title], rows, sources.answer(panel, times), times)
    return figure


def _is_by_sending(panel: Panel) -> bool:
    """Return whether a panel shows the time at which SMS were sent: that is the time of the emulator's Routee."""
    return any(isinstance(query, SQL) and "hour" in query.statement for query in panel.queries)


def _panel(  # noqa: PLR0917 - what a panel shows, where and when
    figure: Figure, panel: Panel, place: dict[str, int], rows: int, answer: Answer, span: Span
) -> None:
    left, width = place["x"] / COLUMNS, place["w"] / COLUMNS
    bottom, height = 1 - (place["y"] + place["h"] + 2) / rows, place["h"] / rows
    x, y = 1 / (figure.get_figwidth()), 1 / (figure.get_figheight())  # an inch
    frame = figure.add_axes((left + 0.06 * x, bottom + 0.05 * y, width - 0.12 * x, height - 0.1 * y))
    frame.set(xticks=[], yticks=[], facecolor="none")
    for spine in frame.spines.values():
        spine.set(visible=True, color=_EDGE)
    figure.text(left + 0.16 * x, bottom + height - 0.2 * y, panel.title, size=9, weight="bold", va="center")
    if not answer:
        figure.text(
            left + width / 2, bottom + height * 0.42, panel.may_be_empty, color=_FAINT, ha="center", va="center"
        )
        return
    if panel.kind == "number":
        _number(figure, panel, answer, (left + width / 2, bottom + height * 0.4))
        return
    columns, lines = _legend(panel, answer)
    margins = {"lines": (0.62, 0.2, 0.4 + 0.125 * lines), "bars": (1.75, 0.5, 0.3), "table": (0.12, 0.12, 0.1)}[
        panel.kind
    ]
    inner = figure.add_axes(
        (
            left + margins[0] * x,
            bottom + margins[2] * y,
            width - (margins[0] + margins[1]) * x,
            height - (margins[2] + 0.42) * y,
        )
    )
    if panel.kind == "lines":
        _lines(inner, panel, answer, span)
        space = 0.26 * y / inner.get_position().height
        inner.legend(
            loc="upper left",
            bbox_to_anchor=(-0.02, -space),
            ncols=columns,
            frameon=False,
            fontsize=7,
            handlelength=1.0,
            columnspacing=0.9,
            borderaxespad=0,
            labelspacing=0.25,
        )
    else:
        {"bars": _bars, "table": _table}[panel.kind](inner, panel, answer)


def _number(figure: Figure, panel: Panel, answer: Answer, place: tuple[float, float]) -> None:
    value = answer.number
    if value is None:
        return
    color = _TEXT if panel.worse_from is None else _BAD if value >= panel.worse_from else _GOOD
    figure.text(*place, _shown(value, panel.unit), size=19, color=color, ha="center", va="center")


def _legend(panel: Panel, answer: Answer) -> tuple[int, int]:
    """Return how many columns and lines the names of a panel's lines need."""
    longest = max(map(len, answer.lines), default=1)
    columns = max(1, int((panel.width * _CELL_WIDTH - 0.5) / (longest * 0.046 + 0.3)))
    return columns, -(-len(answer.lines) // columns)


def _lines(axes: "Axes", panel: Panel, answer: Answer, span: Span) -> None:
    names = sorted(answer.lines)
    if panel.stacked:
        moments = sorted({at for points in answer.lines.values() for at, _ in points})
        heights = [[dict(answer.lines[name]).get(at, 0.0) for at in moments] for name in names]
        axes.stackplot([_days(at) for at in moments], heights, labels=names, alpha=0.75, colors=_COLORS)
    else:
        for name in names:
            points = answer.lines[name]
            axes.plot([_days(at) for at, _ in points], [value for _, value in points], label=name, linewidth=1.4)
    axes.set_ylim(bottom=0)
    if panel.unit == "percentunit":
        axes.set_ylim(top=1.02)
    axes.yaxis.set_major_locator(_marks_of_bytes(axes.get_ylim()[1]) if panel.unit == "bytes" else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(value, panel.unit)))
    axes.set_xlim(_days(span.start), _days(span.end))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=6))  # type: ignore[no-untyped-call]
    form = "%H:%M:%S" if span.end - span.start < _SHORT_SECONDS else "%H:%M"
    axes.xaxis.set_major_formatter(dates.DateFormatter(form))  # type: ignore[no-untyped-call]
    axes.tick_params(length=0, labelsize=7.5)


def _marks_of_bytes(most: float) -> MultipleLocator:
    """Return marks at powers of two, as bytes are counted."""
    return MultipleLocator(2.0 ** math.ceil(math.log2(max(most, 5) / 5)))


def _bars(axes: "Axes", panel: Panel, answer: Answer) -> None:
    pairs = [tuple(row.values()) for row in answer.rows][::-1]
    names, values = (
        [textwrap.shorten(str(name), 26, placeholder="…") for name, _ in pairs],
        [value for _, value in pairs],
    )
    axes.barh(names, values, color=_COLORS[0], height=0.62)
    for row, value in enumerate(values):
        axes.text(value, row, f" {_shown(float(value), panel.unit)}", va="center", size=7.5)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=7.5, labelcolor=_TEXT)
    axes.spines["bottom"].set_visible(False)


def _table(axes: "Axes", panel: Panel, answer: Answer) -> None:
    axes.axis("off")
    columns = [column for column in answer.rows[0] if panel.queries and column != "__name__"]
    if isinstance(answer.rows[0].get("value"), float) and len(columns) > 1:
        columns.remove("value")
    most = max(1, int(panel.height * _CELL_HEIGHT / 0.235) - 3)
    units = panel.units or {}
    cells = [[_cell(row.get(column), units.get(column, "short")) for column in columns] for row in answer.rows[:most]]
    height = (len(cells) + 1) / (most + 1)
    table = axes.table(
        cells,
        colLabels=[column.replace("_", " ") for column in columns],
        colWidths=_widths(columns, cells),
        loc="upper left",
        cellLoc="left",
        edges="horizontal",
        bbox=Bbox.from_bounds(0, 1 - height, 1, height),
    )
    table.auto_set_font_size(value=False)
    table.set_fontsize(8)
    for (row, _), cell in table.get_celld().items():
        cell.set(edgecolor=_EDGE, linewidth=0.6)
        cell.get_text().set_horizontalalignment("left")
        cell.PAD = 0.02
        if row == 0:
            cell.get_text().set(color=_FAINT, weight="bold")


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[float]:
    """Return the share of each column by its longest text."""
    longest = [max(len(column), *(len(row[place]) for row in cells)) + 2 for place, column in enumerate(columns)]
    return [length / sum(longest) for length in longest]


def _cell(value: Any, unit: str) -> str:  # noqa: ANN401 - as the database says
    if value is None:
        return "–"
    if isinstance(value, str):
        try:
            return _shown(float(value), unit)
        except ValueError:
            return textwrap.shorten(value, _LONGEST_CELL, placeholder="…")
    return _shown(float(value), unit)


def _days(at: float) -> float:
    """Return a time as matplotlib counts it: in days since 1970 UTC."""
    return at / 86_400


def _shown(value: float, unit: str) -> str:
    """Return a number as Grafana shows it in this unit, about."""
    match unit:
        case "percentunit":
            return f"{value * 100:.4g} %" if value < 1 else f"{value * 100:.0f} %"
        case "s":
            return _seconds(value)
        case "bytes":
            return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
        case "cps" | "rowsps":
            return f"{_scaled(value, 1000, ('', 'K', 'M'))}/s"
        case _:
            return _scaled(value, 1000, ("", "K", "M", "G"))


def _seconds(value: float) -> str:
    if value == 0:
        return "0 s"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s" if value < 60 else f"{value / 60:.3g} min"


def _scaled(value: float, base: int, names: Sequence[str]) -> str:
    place = 0
    while abs(value) >= base and place < len(names) - 1:
        value, place = value / base, place + 1
    # Three digits, and never as a power of ten.
    return f"{value:.3g} {names[place]}".strip() if value < base / 2 else f"{value:.0f} {names[place]}".strip()
