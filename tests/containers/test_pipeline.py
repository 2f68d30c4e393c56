"""
Callbacks through containers: nothing is lost, nothing is counted twice, also while every one of them is replaced.
"""

import shlex
from pathlib import Path
from typing import Final

import pytest

from sandbox.audit.audit import audit
from sandbox.audit.topics import Values
from sandbox.emulator.ledger import read_ledger
from tests.containers.emulator import routee
from tests.containers.stack import Stack
from tests.support.wait import eventually

_COUNT_ROWS: Final = """
import pathlib, pyarrow.parquet
files = pathlib.Path('/var/lib/routee/files/sms_status').rglob('*.parquet')
print(sum(pyarrow.parquet.read_metadata(file).num_rows for file in files))
"""


@pytest.mark.timeout(300)
def test_clickhouse_shows_exactly_the_accepted_callbacks(stack: Stack, tmp_path: Path, figures: dict[str, str]) -> None:
    """Accepted = applied + duplicate + stale + conflict + report + rejected, and every cell agrees with the ledger."""
    ledger = tmp_path / "ledger.ndjson"
    options = shlex.split("--campaigns 3 --recipients 40 --singles 30 --strategy mixed --rate 200 --malformed 0.02")
    with routee(stack.callback_url, ledger, *options):
        pass
    oracle = read_ledger(ledger)
    found = audit(oracle, stack.sources(), quiet_seconds=8.0, deadline_seconds=90.0)
    assert not found.differences
    judged = sum(found.verdicts.values())
    refused = oracle.accepted - judged
    figures["callbacks accepted"] = f"{oracle.accepted} = {judged} {found.verdicts} + {refused} refused by ingest"


@pytest.mark.timeout(300)
def test_the_files_hold_every_record_of_the_topic(stack: Stack) -> None:
    kafka = stack.sources().kafka
    assert kafka
    in_topic = sum(1 for _ in Values(kafka.bootstrap_servers, "routee.sms.status"))
    assert in_topic
    files = stack.programs["sinks-files"]
    eventually(lambda: int(files.exec(["python", "-c", _COUNT_ROWS]).output) == in_topic, deadline=30, every=0.5)


@pytest.mark.timeout(300)
def test_every_container_is_replaced_while_callbacks_come(stack: Stack, tmp_path: Path) -> None:
    """
    In the order of an upgrade: each stops by itself when asked to, and the next one goes on where it was.

    While ingest is away posts get no answer, and the emulator sends again, as Routee does.
    """
    ledger = tmp_path / "ledger.ndjson"
    options = shlex.split("--seed 2 --campaigns 2 --recipients 300 --singles 0 --rate 60 --retry-scale 0.05")
    with routee(stack.callback_url, ledger, *options):
        codes = {name: stack.replace(name) for name in ("sinks-clickhouse", "sinks-files", "streams", "ingest")}
    assert set(codes.values()) == {0}, codes
    mine = read_ledger(ledger)
    sources = stack.sources(counted_whole=False)
    found = audit(mine, sources, quiet_seconds=15.0, deadline_seconds=90.0)
    assert not found.differences


def test_the_preparations_change_nothing_the_second_time(stack: Stack) -> None:
    assert stack.run(["routee-streams", "topics"]) == 0
    assert stack.run(["routee-sinks", "schema"]) == 0
    assert stack.run(["routee-streams", "check"]) == 0
    assert stack.run(["routee-sinks", "check"]) == 0
    assert stack.run(["routee-ingest", "check"]) == 0


def test_no_secret_is_in_what_the_programs_say(stack: Stack) -> None:
    for name, container in stack.programs.items():
        text = b"".join(container.get_logs()).decode()
        assert stack.callback_url.rsplit("/", 1)[1] not in text, name
        assert stack.sources().clickhouse.password not in text, name
