"""
Writing the ledger, and reading it back.
"""

from pathlib import Path

import orjson
import pytest

from sandbox.emulator.errors import LedgerError
from sandbox.emulator.ledger import Ledger, read_ledger
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule

START = 1_795_000_000
OPTIONS = TrafficOptions(
    9, "http://127.0.0.1:1/callbacks/s3cret", campaigns=2, recipients=50, singles=20, conflicts=0.05, malformed=0.05
)
ACCEPTED = [{"status": 200, "ms": 1.0}]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.open(OPTIONS, START)
        for callback in schedule(OPTIONS, START):
            ledger.record(callback, ACCEPTED)
        ledger.close(complete=True)
    return tmp_path / "ledger"


def lines(file: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def test_the_states_at_the_end_follow_from_the_lines_before(file: Path) -> None:
    """A reader that only takes in callbacks comes to the states that were written at the end."""
    oracle = read_ledger(file)
    written = {line["sms_key"]: line["status"] for line in lines(file) if line["type"] == "sms-state"}
    assert {key: sms.state and sms.state["status"] for key, sms in oracle.sms.items()} == written
    counts = oracle.counts()
    for line in lines(file):
        if line["type"] == "campaign-state":
            assert line["messages_by_status"] == counts[str(line["campaign_tracking_id"])].messages_by_status


def test_everything_accepted_ends_as_it_truly_ends(file: Path) -> None:
    """When nothing is lost the derivable state is the true one, save for finals within the same second."""
    oracle = read_ledger(file)
    for sms in oracle.sms.values():
        assert sms.state is not None
        assert sms.state["updated_at"] == sms.facts["true"]["updated_at"]


def test_the_secret_is_not_in_the_ledger(file: Path) -> None:
    """The path secret of the callback URL is left out."""
    assert b"s3cret" not in file.read_bytes()


def test_things_come_before_their_callbacks(file: Path) -> None:
    """The run is first, an SMS and a campaign precede their callbacks, states and `end` come last."""
    known: set[object] = set()
    for line in lines(file):
        if line["type"] == "callback" and line["kind"] != "malformed":
            assert line.get("sms_key", line.get("campaign_tracking_id")) in known
        known.add(line.get("sms_key", line.get("campaign_tracking_id")))
    assert lines(file)[0]["type"] == "run"
    assert lines(file)[-1] == {
        "type": "end",
        "complete": True,
        "callbacks": sum(line["type"] == "callback" for line in lines(file)),
        "accepted": sum(line["type"] == "callback" for line in lines(file)),
    }


def test_a_line_cut_off_by_a_kill_is_passed_over(file: Path) -> None:
    """Half a last line is no error, and everything before it counts."""
    whole = file.read_bytes()
    callbacks = whole[: whole.index(b'{"type":"sms-state"')]
    file.write_bytes(callbacks[:-20])
    assert read_ledger(file).accepted == callbacks.count(b'"type":"callback"') - 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"hello\n", "ledger:1 is not JSON"),
        (b'{"type":"callback"}\n', "ledger:1 is no line of a ledger"),
        (b"[]\n", "ledger:1 is no line of a ledger"),
        (b"", "has no line of type `run`"),
    ],
)
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    """A wrong file is one line that names the place."""
    (tmp_path / "ledger").write_bytes(text)
    with pytest.raises(LedgerError, match=reason):
        read_ledger(tmp_path / "ledger")
