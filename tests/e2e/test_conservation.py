"""
Every callback that was accepted is accounted for: applied, duplicate, stale, conflict, report or rejected.
"""

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

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

TRAFFIC = (
    "--campaigns 2 --recipients 250 --singles 60 --strategy mixed --seed 21 --rate 600 "
    "--duplicates 0.1 --reorder 0.2 --lost 0.02 --conflicts 0.02 --malformed 0.02"
)


class Books:
    """What the programs have counted until now."""

    def __init__(self, sandbox: Sandbox) -> None:
        ingest, streams = f"{sandbox.addresses.ingest}/metrics", f"{sandbox.addresses.streams}/metrics"
        self.stored = counter(ingest, "routee_ingest_accepted_total").get("", 0)
        self.rejected = sum(counter(ingest, "routee_ingest_rejected_total", "reason").values())
        self.verdicts = Counter(counter(streams, "routee_streams_callbacks_total", "verdict"))


def test_accepted_is_the_sum_of_all_verdicts(sandbox: Sandbox, database: ClickHouse, tmp_path: Path) -> None:
    """
    Emulated traffic with every fault: the ledger, ingest, streams and the rows agree on every single callback.

    accepted = applied + duplicate + stale + conflict + report + rejected
    """
    before, ledger = Books(sandbox), tmp_path / "ledger.ndjson"
    command = [
        str(Path(sys.executable).with_name("routee-sandbox")),
        "emulate",
        "--url",
        sandbox.addresses.callback_url,
        "--ledger",
        str(ledger),
    ]
    emulator = subprocess.run([*command, *TRAFFIC.split()], capture_output=True, text=True, timeout=90, check=False)
    assert emulator.returncode == 0, emulator.stderr
    oracle = read_ledger(ledger)

    found = audit(oracle, Sources(database, Kafka(sandbox.addresses.kafka)), deadline_seconds=60)
    assert [str(difference) for difference in found.differences[:5]] == []

    after = Books(sandbox)
    stored, rejected = after.stored - before.stored, after.rejected - before.rejected
    verdicts = after.verdicts - before.verdicts
    assert oracle.accepted == stored + rejected
    assert stored == verdicts.total()
    assert set(verdicts) == {"applied", "duplicate", "stale", "conflict", "report", "rejected"}
    assert rejected + verdicts["rejected"] == len(oracle.malformed)
