"""
The data dictionary of sinks/README.md, from the words of columns: `python -m tests.support.data_dictionary`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.ports import free_port
from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import Kind, objects_of
from sinks.clickhouse.words import words_of
from sinks.settings import SinksSettings
from tests.support.markdown import ROOT

DOCUMENT: Final = ROOT / "sinks" / "README.md"
_GIVEN: Final = {"{older_than_seconds:": "(older_than_seconds = 0)", "{at:": "(at = '2026-11-22 09:00:00')"}
"""A parameter of a view → a value to ask with."""
_HEAD: Final = "| column | meaning | in |\n|---|---|---|\n"


def columns(clickhouse: ClickHouse) -> Iterator[tuple[str, str]]:
    """Yield (view, column) of every view for people."""
    for name, thing in objects_of(known_migrations()).items():
        if thing.kind is Kind.VIEW:
            # The columns of a view with a parameter are known when it is asked.
            asked = next((name + given for told, given in _GIVEN.items() if told in thing.select), name)
            for column, *_ in clickhouse.rows(f"DESCRIBE TABLE (SELECT * FROM {asked})"):  # noqa: S608 - names of ours
                yield name, column


def rows(clickhouse: ClickHouse) -> list[str]:
    """Return a row for each column and meaning, with the views that have it."""
    views: dict[tuple[str, str], list[str]] = {}
    for name, column in columns(clickhouse):
        views.setdefault((column, words_of(name, column) or ""), []).append(name)
    return [
        f"| `{column}` | {words} | {', '.join(f'`{name}`' for name in sorted(names))} |"
        for (column, words), names in sorted(views.items())
    ]


def written(text: str, found: list[str]) -> str:
    """Return the document with this dictionary."""
    begin = text.index(_HEAD) + len(_HEAD)
    end = text.index("\n\n", begin - 1)
    return text[:begin] + "\n".join(found) + text[end:]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, ClickHouseServer(Path(folder), free_port()) as server:
        settings = SinksSettings(clickhouse_url=server.url, clickhouse_user=server.user)
        run_schema(settings)
        DOCUMENT.write_text(written(DOCUMENT.read_text(), rows(connect(settings))))
