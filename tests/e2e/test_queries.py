"""
The ten queries of the sinks' README: each has the answer that stands below it, on the traffic that the README names.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClickHouse, str]]:
    """Give the ClickHouse of a sandbox with this traffic alone, and the last line of the emulator."""
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
            sent = subprocess.run(here, capture_output=True, text=True, timeout=240, check=False)
            assert sent.returncode == 0, sent.stderr
            settings = running.settings
            database = ClickHouse(running.addresses.clickhouse, settings.clickhouse_user, settings.clickhouse_database)
            yield database, (sent.stdout + sent.stderr).splitlines()[-1]


def test_each_of_the_ten_queries_has_an_answer() -> None:
    assert [*ANSWERS] == [*range(1, 11)]


@pytest.mark.parametrize("number", ANSWERS)
def test_a_query_has_the_answer_that_stands_below_it(asked: tuple[ClickHouse, str], number: int) -> None:
    database, sent = asked
    sql, answer = ANSWERS[number]
    if number == 10 and "; 0 sent again" not in sent:
        pytest.skip(f"a refused body that is sent again is refused twice: {sent}")

    def found() -> bool:
        assert database.text(sql, default_format="Markdown").decode() == answer
        return True

    eventually(found, 120)
