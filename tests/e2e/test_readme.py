"""
The README's own commands, run as they stand.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.audit.clickhouse import ClickHouse
from sandbox.stack import Sandbox
from tests.e2e.markdown import blocks
from tests.support.wait import eventually

README = Path(__file__).parents[2] / "README.md"
ITS_URL = "http://127.0.0.1:8080/callbacks"

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(240)]


def queries() -> list[str]:
    return blocks(README, "Ask", "sql")


@pytest.fixture(scope="module")
def sent(sandbox: Sandbox) -> str:
    """Run what stands below `Send callbacks`, at this sandbox's address; return what it printed."""
    if not shutil.which("curl"):
        pytest.skip("the README sends callbacks with curl, which is not installed here")
    printed = []
    for script in blocks(README, "Send callbacks", "sh"):
        assert ITS_URL in script
        here = script.replace(ITS_URL, sandbox.addresses.callback_url)
        shell = subprocess.run(["sh", "-eu", "-c", here], capture_output=True, text=True, timeout=30, check=False)
        assert shell.returncode == 0, shell.stderr
        printed.append(shell.stdout)
    return "".join(printed)


def test_every_callback_of_the_readme_is_accepted(sent: str) -> None:
    """One callback of each case, each answered 200."""
    assert sent.count("HTTP/1.1 200") == 3


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("number", range(3))
def test_every_query_of_the_readme_has_an_answer(database: ClickHouse, number: int) -> None:
    """The SQL below `Ask` shows what the callbacks said."""
    sql = queries()[number].rstrip().removesuffix(";")
    answer = eventually(lambda: database.text(sql).decode(), 60)
    eventually(lambda: "Spring sale" in database.text(queries()[0]).decode(), 60)
    assert "DB::Exception" not in answer
