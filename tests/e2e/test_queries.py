"""
The ten queries of the sinks' README: each has the answer that stands below it, on the traffic that the README names.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.audit.clickhouse import ClickHouse
from sandbox.stack import Sandbox
from sandbox.temporary import RULES, temporary_settings
from tests.support.wait import eventually

README = Path(__file__).parents[2] / "sinks" / "README.md"
ITS_URL = "http://127.0.0.1:8080/callbacks"
EXAMPLE = re.compile(r"^```sql\n-- (\d+)\. [^\n]*\n([^\n]+;)\n```\n\n((?:\|[^\n]*\n)+)", re.MULTILINE)
ANSWERS = {int(number): (sql, answer) for number, sql, answer in EXAMPLE.findall(README.read_text())}

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.full, pytest.mark.timeout(400)]


class Asked(NamedTuple):
    """A ClickHouse with the traffic of one day alone, and the last line of the emulator."""

    database: ClickHouse
    day: str
    last_line: str


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Send the traffic of yesterday to a sandbox."""
    (command,) = re.findall(r"^    \.venv/bin/(routee-sandbox emulate .*)$", README.read_text(), re.MULTILINE)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in RULES.items():
            environment.setenv(name, value)
        with Sandbox(temporary_settings(tmp_path_factory.mktemp("sandbox"))) as running:
            here = [
                sys.executable,
                "-m",
                "sandbox",
                *shlex.split(command.replace(ITS_URL, running.addresses.callback_url))[1:],
            ]
            day = f"{datetime.now(UTC) - timedelta(days=1):%F}"
            sent = subprocess.run(here, capture_output=True, text=True, timeout=240, check=False)
            assert sent.returncode == 0, sent.stderr
            settings = running.settings
            database = ClickHouse(running.addresses.clickhouse, settings.clickhouse_user, settings.clickhouse_database)
            yield Asked(database, day, (sent.stdout + sent.stderr).splitlines()[-1])


def test_each_of_the_ten_queries_has_an_answer() -> None:
    assert [*ANSWERS] == [*range(1, 11)]


@pytest.mark.parametrize("number", ANSWERS)
def test_a_query_has_the_answer_that_stands_below_it(asked: Asked, number: int) -> None:
    sql, answer = ANSWERS[number]
    # Midnight may come before the answer.
    sql = sql.replace("yesterday()", f"toDate('{asked.day}')")
    if number == 10 and "; 0 sent again" not in asked.last_line:
        pytest.skip(f"a refused body that is sent again is refused twice: {asked.last_line}")

    def found() -> bool:
        assert asked.database.text(sql, default_format="Markdown").decode() == answer
        return True

    eventually(found, 120)
