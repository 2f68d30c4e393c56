"""
Every callback that was accepted is accounted for: applied, duplicate, stale, conflict, report or rejected.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sandbox.audit.audit import Kafka, Sources, audit
from sandbox.audit.clickhouse import ClickHouse
from sandbox.audit.metrics import counter
from sandbox.emulator.ledger import read_ledger
from sandbox.stack import Sandbox
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(240)]

PROGRAM = str(Path(sys.executable).with_name("routee-sandbox"))
TRAFFIC = (
    "--campaigns 2 --recipients 250 --singles 60 --strategy mixed --seed 21 --rate 600 "
    "--duplicates 0.1 --reorder 0.2 --lost 0.02 --conflicts 0.02 --malformed 0.02"
)


class Books:
    """The counters of the programs until now."""

    def __init__(self, sandbox: Sandbox) -> None:
        ingest, streams = (f"{sandbox.addresses.pages[name]}/metrics" for name in ("ingest", "streams"))
        self.stored = counter(ingest, "routee_ingest_accepted_total").get("", 0)
        self.rejected = sum(counter(ingest, "routee_ingest_rejected_total", "reason").values())
        self.verdicts = Counter(counter(streams, "routee_streams_callbacks_total", "verdict"))


@pytest.fixture(scope="module")
def emulated(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Books]:
    """Send emulated traffic with every fault; return its ledger, and the books from before."""
    before, ledger = Books(sandbox), tmp_path_factory.mktemp("ledger") / "ledger.ndjson"
    command = [PROGRAM, "emulate", "--url", sandbox.addresses.callback_url, "--ledger", str(ledger), *TRAFFIC.split()]
    emulator = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert emulator.returncode == 0, emulator.stderr
    return ledger, before


def test_accepted_is_the_sum_of_all_verdicts(
    sandbox: Sandbox, database: ClickHouse, emulated: tuple[Path, Books]
) -> None:
    """
    The ledger, ingest, streams and the rows agree on every single callback.

    accepted = applied + duplicate + stale + conflict + report + rejected
    """
    ledger, before = emulated
    oracle = read_ledger(ledger)
    found = audit(oracle, Sources(database, Kafka(sandbox.addresses.kafka)), quiet_seconds=60)
    assert [str(difference) for difference in found.differences[:5]] == []

    def closed() -> Books:
        # The last callbacks may be duplicates: no row shows that they have passed.
        books = Books(sandbox)
        assert books.stored - before.stored == (books.verdicts - before.verdicts).total()
        return books

    after = eventually(closed)
    stored, rejected = after.stored - before.stored, after.rejected - before.rejected
    verdicts = after.verdicts - before.verdicts
    assert oracle.accepted == stored + rejected
    assert set(verdicts) == {"applied", "duplicate", "stale", "conflict", "report", "rejected"}
    assert rejected + verdicts["rejected"] == len(oracle.malformed)


def verify(sandbox: Sandbox, ledger: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run `routee-sandbox verify` with only the settings of the sandbox."""
    settings = sandbox.settings
    environment = {
        "PATH": os.environ["PATH"],
        "SANDBOX_KAFKA_PORT": str(settings.sandbox_kafka_port),
        "SANDBOX_CLICKHOUSE_PORT": str(settings.sandbox_clickhouse_port),
    }
    command = [PROGRAM, "verify", "--ledger", str(ledger), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


def test_verify_agrees_with_a_ledger_that_was_sent(sandbox: Sandbox, emulated: tuple[Path, Books]) -> None:
    """Exit 0, and a last line that names the things compared."""
    done = verify(sandbox, emulated[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("0 differences in ")


def test_verify_finds_a_callback_that_was_never_sent(
    sandbox: Sandbox, emulated: tuple[Path, Books], tmp_path: Path
) -> None:
    """Exit 1 when the ledger says that something was accepted which is not there."""
    changed = tmp_path / "ledger.ndjson"
    changed.write_bytes(emulated[0].read_bytes().replace(b'"status":"Failed"', b'"status":"Undelivered"'))
    done = verify(sandbox, changed, "--quiet-seconds", "0.1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ": status is Failed, the ledger says Undelivered" in done.stdout


def test_verify_names_a_file_that_is_no_ledger(sandbox: Sandbox, tmp_path: Path) -> None:
    """A wrong file is one line, exit 1."""
    done = verify(sandbox, tmp_path / "nothing")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
