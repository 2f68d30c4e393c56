"""
`kill -9` of every program while callbacks come in: nothing that was answered 200 is lost, nothing counts twice.
"""

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sandbox.audit import topics
from sandbox.audit.audit import Kafka, Sources, audit
from sandbox.audit.clickhouse import ClickHouse
from sandbox.audit.metrics import counter
from sandbox.emulator.arguments import add_arguments, traffic_options
from sandbox.emulator.ledger import read_ledger
from sandbox.emulator.traffic.schedule import schedule
from sandbox.stack import Sandbox
from sandbox.temporary import RULES, temporary_settings
from tests.support.wait import eventually

FAULTS = (
    "--seed 31 --campaigns 2 --singles 100 --strategy mixed --retry-scale 0.002 "
    "--duplicates 0.1 --reorder 0.2 --conflicts 0.01 --malformed 0.01"
)
# The program to kill at each share of the traffic.
KILLS = {0.2: "ingest", 0.4: "streams", 0.6: "sinks-clickhouse", 0.8: "sinks-files"}

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(420)]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Give a sandbox of its own: its programs will be killed."""
    for name, value in RULES.items():
        monkeypatch.setenv(name, value)
    with Sandbox(temporary_settings(tmp_path / "sandbox")) as running:
        yield running


def total(command: list[str]) -> int:
    """Return how many callbacks the emulator will send."""
    parser = ArgumentParser()
    add_arguments(parser)
    return sum(1 for _ in schedule(traffic_options(parser.parse_args(command)), 0))


def has_sent(ledger: Path, callbacks: float) -> bool:
    """Return whether so many callbacks are over with."""
    return ledger.exists() and ledger.read_bytes().count(b'{"type":"callback"') >= callbacks


def kill_when(sandbox: Sandbox, name: str, is_time: Callable[[], bool]) -> None:
    """Kill a program when it is time, and see it come back."""
    eventually(is_time, deadline=120, every=0.2)
    before = sandbox.pid(name)
    sandbox.kill(name)
    eventually(lambda: sandbox.pids().get(name, before) != before, deadline=60)


def verdicts(sandbox: Sandbox) -> int:
    """Return how many callbacks have a verdict of streams."""
    return sum(
        counter(f"{sandbox.addresses.pages['streams']}/metrics", "routee_streams_callbacks_total", "verdict").values()
    )


def lag(sandbox: Sandbox) -> int:
    """Return the lag of streams in records; not 0 while the lag is unknown."""
    found = counter(f"{sandbox.addresses.pages['streams']}/metrics", "routee_streams_lag_records", "partition")
    return sum(found.values()) if found else 1


@pytest.mark.parametrize(
    ("recipients", "rate"),
    [
        pytest.param(700, 250, id="4,000"),
        pytest.param(3_700, 700, id="20,000", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
def test_every_program_killed_once_leaves_no_difference(
    sandbox: Sandbox, tmp_path: Path, recipients: int, rate: int
) -> None:
    """Ledger, topics and ClickHouse agree on every cell, and each callback in Kafka got exactly one verdict."""
    ledger = tmp_path / "ledger.ndjson"
    options = [*FAULTS.split(), "--recipients", str(recipients), "--rate", str(rate), "--ledger", str(ledger)]
    command = ["--url", sandbox.addresses.callback_url, *options]
    callbacks = total(command)
    program = Path(sys.executable).with_name("routee-sandbox")
    with subprocess.Popen([program, "emulate", *command], stderr=subprocess.PIPE, text=True) as emulator:
        try:
            for share, name in KILLS.items():
                kill_when(sandbox, name, partial(has_sent, ledger, share * callbacks))
            _, said = emulator.communicate(timeout=180)
        finally:
            emulator.terminate()
    assert emulator.returncode == 0, said

    oracle = read_ledger(ledger)
    assert oracle.uncertain == 0, "everything was accepted in the end"
    clickhouse = ClickHouse(sandbox.addresses.clickhouse, "default", "routee")
    kafka = Kafka(sandbox.addresses.kafka)
    found = audit(oracle, Sources(clickhouse, kafka), quiet_seconds=60, deadline_seconds=120)
    assert [str(difference) for difference in found.differences[:10]] == []

    stored = sum(len(value["callbacks"]) for value in topics.Values(kafka.bootstrap_servers, "routee.callbacks.raw"))
    # The last callbacks may be duplicates: no row shows that they have passed.
    eventually(lambda: lag(sandbox) == 0)
    assert verdicts(sandbox) == stored
    assert stored >= oracle.accepted - len(oracle.malformed)
