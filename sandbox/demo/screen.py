"""
The output of the demo: live bars on a terminal, plain lines in a pipe or a log.
"""

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from sandbox.audit.audit import Audit
from sandbox.demo.run import Look, Show
from sandbox.emulator.sender import Tally
from sandbox.emulator.traffic.model import Campaign
from streams.program.printable import printable, printable_lines

_PIPE_COLUMNS: Final = 120
_PLAIN_LINE_SECONDS: Final = 2.0
_DIFFERENCES_SHOWN: Final = 10
_VERDICTS: Final = ("applied", "duplicate", "stale", "conflict", "report", "rejected")


class Screen:
    """Standard output, as a terminal or as something that keeps lines (a pipe, a log, a dumb terminal)."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        self._console = Console(highlight=False)
        self._is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        if not self._is_live:
            self._console = Console(highlight=False, width=_PIPE_COLUMNS, no_color=True, force_terminal=False)

    def title(self, seed: int) -> None:
        """Say what this is."""
        self._console.print(Text.assemble("\n", ("routee-callbacks", "bold"), f"  demo, seed {seed}"))
        self._console.print(
            Text(
                "A real Kafka, a real ClickHouse engine and the three programs, all on this machine. "
                "Only Routee is emulated.\n",
                "dim",
            )
        )

    @contextmanager
    def step(self, doing: str) -> Iterator[Callable[[str], None]]:
        """Say that something is being done, for as long as it takes; give the function that says how far it is."""
        if self._is_live:
            with self._console.status(_text(f"{doing} …")) as status:
                yield lambda now: status.update(_text(f"{doing}: {now} …"))
        else:
            self._console.print(_text(f"- {doing} …"))
            yield lambda now: self._console.print(_text(f"    {now}"), soft_wrap=True)

    def done(self, what: str) -> None:
        """Say that something went well."""
        self._console.print(Text.assemble(("✔ ", "green"), _text(what)))

    def failed(self, what: str) -> None:
        """Say that something is wrong, in one line or several."""
        self._console.print(Text.assemble(("✘ ", "bold red"), (printable_lines(what), "red")), soft_wrap=True)

    def heading(self, text: str, about: str = "") -> None:
        """Begin a new part."""
        self._console.print(Text.assemble("\n", _text(text, "bold"), _text(f"  {about}" if about else "", "dim")))

    @contextmanager
    def campaigns(self, planned: Sequence[Campaign]) -> Iterator[Show]:
        """Give the function that shows how far the campaigns are."""
        if not self._is_live:
            yield _PlainLines(self._console, planned)
            return
        bars = _Bars(planned)
        with Live(bars.picture(), console=self._console, refresh_per_second=8) as live:
            yield lambda look: live.update(bars.look(look))

    def table(self, rows: Sequence[dict[str, Any]]) -> None:
        """Show the campaigns."""
        table = Table(box=None, header_style="dim", pad_edge=False)
        for name in ("campaign", "strategy"):
            table.add_column(_text(name))
        for name in ("recipients", "parts", "delivered", "rate", "cost"):
            table.add_column(_text(name), justify="right")
        table.add_column(_text("reconciliation"))
        for row in rows:
            table.add_row(*_cells(row))
        self._console.print(table)

    def answers(self, question: str, sql: str, rows: Sequence[dict[str, Any]]) -> None:
        """Show a query and what it answers."""
        self._console.print(Text.assemble("\n", _text(question, "bold")))
        self._console.print(Text("\n").join(_text(f"  {line}", "cyan") for line in sql.splitlines()))
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(_text(""))
        for name, value in rows[0].items() if rows else ():
            is_text = isinstance(value, str) and not _is_number(value)
            table.add_column(_text(name), justify="left" if is_text else "right")
        for row in rows:
            table.add_row(_text(""), *(_text(_trimmed(value)) for value in row.values()))
        self._console.print(table)

    def hint(self, text: str) -> None:
        """Say what to do next, in one line or several."""
        self._console.print(Text(printable_lines(text), style="dim"))

    def command(self, text: str) -> None:
        """Show a command to type."""
        self._console.print(_text(f"  {text}", "cyan"), soft_wrap=True)


def verdict_lines(audit: Audit, tally: Tally) -> Iterator[str]:
    """Yield the results of an audit without differences."""
    yield (
        f"{audit.sms:,} SMS, {audit.messages:,} messages, {audit.campaigns} campaigns: "
        "every cell, in ClickHouse and in the topics, is what follows from the ledger"
    )
    before = audit.malformed - audit.verdicts.get("rejected", 0)
    terms = [f"{audit.verdicts.get(verdict, 0):,} {verdict}" for verdict in _VERDICTS]
    taken = f"{tally.arrived:,} answered 200" + (f" + {audit.pulled:,} pulled" if audit.pulled else "")
    yield f"{taken} = {' + '.join(terms)} by streams + {before:,} by ingest"
    yield f"{audit.malformed:,} bodies that were no callbacks: each is in rejected_callbacks with its reason"


def healed_line(tally: Tally, healed: int, requests: int) -> str:
    """Return what became of the callbacks that never came."""
    return (
        f"{tally.swallowed:,} callbacks never came: the backfill asked Routee {requests:,} times, "
        f"and {healed:,} SMS have their status from the answers"
    )


def difference_lines(audit: Audit) -> Iterator[str]:
    """Yield the first differences, a line per SMS, message, campaign or program."""
    fields = Counter(difference.thing for difference in audit.differences)
    firsts = {difference.thing: difference for difference in reversed(audit.differences)}
    for first in list(reversed(firsts.values()))[:_DIFFERENCES_SHOWN]:
        more = fields[first.thing] - 1
        yield printable(f"{first}{f' (and {more} more of its fields)' if more else ''}")
    if len(firsts) > _DIFFERENCES_SHOWN:
        yield f"… and {len(firsts) - _DIFFERENCES_SHOWN:,} more"


class _Bars:
    """One bar per campaign: the share of its recipients whose SMS have come to an end."""

    def __init__(self, planned: Sequence[Campaign]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[news]}", style="dim", markup=False),
        )
        self._tasks: dict[str, TaskID] = {
            campaign.tracking_id: self._progress.add_task(printable(campaign.name), total=campaign.recipients, news="")
            for campaign in planned
        }

    def look(self, look: Look) -> Group:
        """Take in a look; return the picture."""
        for key, row in look.campaigns.items():
            if key in self._tasks:
                self._progress.update(self._tasks[key], completed=row["messages_final"], news=_news(row))
        return self.picture(_pace(look))

    def picture(self, pace: str = "") -> Group:
        """Return the bars with a line below them."""
        return Group(self._progress, _text(pace, "dim"))


class _PlainLines:
    """A line every two seconds."""

    def __init__(self, console: Console, planned: Sequence[Campaign]) -> None:
        self._console = console
        self._planned = planned
        self._last = monotonic()

    def __call__(self, look: Look) -> None:
        """Take in a look."""
        if monotonic() - self._last < _PLAIN_LINE_SECONDS:
            return
        self._last = monotonic()
        finals = (self._final(campaign, look) for campaign in self._planned)
        self._console.print(_text(f"  {_pace(look)} · {' · '.join(finals)}"), soft_wrap=True)

    def _final(self, campaign: Campaign, look: Look) -> str:
        final = look.campaigns.get(campaign.tracking_id, {}).get("messages_final", 0)
        return f"{campaign.name} {final * 100 // max(1, campaign.recipients)} %"


def _news(row: dict[str, Any]) -> str:
    status = f" · {row['campaign_status']}" if row["campaign_status"] else ""
    return printable(f"{row['messages_delivered']:,} delivered{status}")


def _pace(look: Look) -> str:
    return f"{look.tally.arrived:,} callbacks accepted, {look.tally.arrived / look.seconds:,.0f}/s"


def _cells(row: dict[str, Any]) -> Iterator[Text]:
    """Yield the cells of a campaign. A report without numbers leaves null what it would have told."""
    for name in ("name", "strategy"):
        yield _text(_as("{}", row[name]))
    for name in ("total_recipients", "parts", "messages_delivered"):
        yield _text(_as("{:,}", row[name]))
    yield _text(_as("{:.1%}", row["delivery_rate"]))
    yield _text(_as("{:,.4f}", float(row["price_total"])))
    drift = ", ".join(f"{status} {count:+d}" for status, count in row["drift"].items())
    style = "green" if row["reconciliation"] == "consistent" else "yellow"
    yield Text.assemble(_text(row["reconciliation"], style), _text(f"  {drift}" if drift else "", "dim"))


def _text(text: str, style: str = "") -> Text:
    """Return text that may come from a callback as it can be shown: no markup, no control character."""
    return Text(printable(text), style)


def _as(form: str, value: object) -> str:
    return "" if value is None else form.format(value)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


def _trimmed(value: object) -> str:
    if isinstance(value, str) and _is_number(value) and "." in value:
        return value.rstrip("0").rstrip(".")
    return "" if value is None else str(value)
