"""
The output of the demo, without a sandbox behind it.
"""

import pytest

from sandbox.audit.audit import Audit
from sandbox.audit.differences import Difference
from sandbox.demo.run import Look, SwallowOne, traffic_options
from sandbox.demo.screen import Screen, difference_lines, verdict_lines
from sandbox.emulator.sender import Tally
from sandbox.emulator.traffic.model import StatusCallback
from sandbox.emulator.traffic.population import campaigns
from sandbox.emulator.traffic.schedule import schedule

START = 1_795_000_000
TRAFFIC = traffic_options(3, "http://127.0.0.1:1/callbacks/s3cret", 40)
ROW = {
    "name": "Spring sale",
    "strategy": "OnChange",
    "total_recipients": 1500,
    "messages": 1500,
    "parts": 1797,
    "messages_delivered": 1382,
    "delivery_rate": 0.9213,
    "reconciliation": "mixed",
    "drift": {"Delivered": 1, "Failed": -1},
    "price_total": "64.9072",
}


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is no escape sequence, and every step is a line of its own."""
    screen = Screen()
    screen.title(7)
    with screen.step("Starting"):
        pass
    screen.table([ROW])
    screen.failed("wrong")
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "- Starting …" in text
    assert "✘ wrong" in text


def test_the_table_has_every_number_of_a_campaign(capsys: pytest.CaptureFixture[str]) -> None:
    """Recipients, parts, delivered, rate, cost, verdict and drift."""
    Screen().table([ROW])
    line = capsys.readouterr().out.splitlines()[1]
    for cell in ("Spring sale", "OnChange", "1,500", "1,797", "1,382", "92.1%", "64.9072", "mixed"):
        assert cell in line
    assert "Delivered +1, Failed -1" in line


def test_an_answer_shows_the_query_and_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Text that looks like markup is shown unchanged, and so is a missing value."""
    Screen().answers("Who?", "SELECT 1", [{"operator": "Airtel [Bharti]", "price": "0.04320000", "p50": None}])
    text = capsys.readouterr().out
    assert "Airtel [Bharti]" in text
    assert "0.0432" in text
    assert "0.04320000" not in text


def test_progress_in_a_pipe_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each campaign with its share of final messages, not more often than every two seconds."""
    now = iter([0.0, 1.0, 3.0, 3.0, 4.0])
    monkeypatch.setattr("sandbox.demo.screen.monotonic", lambda: next(now))
    planned = campaigns(TRAFFIC, START)[:1]
    rows = {planned[0].tracking_id: {"messages_final": 20, "messages_delivered": 18, "campaign_status": "Running"}}
    with Screen().campaigns(planned) as show:
        for _ in range(3):
            show(Look(Tally(accepted=100), 2.0, rows))
    assert capsys.readouterr().out.splitlines() == ["  100 callbacks accepted, 50/s · Spring sale 50 %"]


def test_agreement_is_an_equation() -> None:
    """Callbacks answered 200 are the sum of all verdicts and of the refusals of ingest."""
    verdicts = {"applied": 70, "duplicate": 10, "stale": 6, "conflict": 1, "report": 4, "rejected": 3}
    found = Audit(sms=50, messages=45, campaigns=2, malformed=9, verdicts=verdicts)
    lines = list(verdict_lines(found, Tally(accepted=100)))
    assert "100 answered 200 = 70 applied + 10 duplicate + 6 stale + 1 conflict + 4 report + 3 rejected" in lines[1]
    assert lines[1].endswith("+ 6 by ingest")


def test_differences_are_a_line_per_thing() -> None:
    """The first difference of each SMS, how many more it has, and how many things there are beyond ten."""
    differences = [Difference(f"SMS {number}", field, 1, 2) for number in range(12) for field in ("status", "price")]
    lines = list(difference_lines(Audit(differences=differences)))
    assert lines[0] == "SMS 0: status is 1, the ledger says 2 (and 1 more of its fields)"
    assert len(lines) == 11
    assert lines[-1] == "… and 2 more"


def test_one_callback_is_swallowed_with_its_copies() -> None:
    """It is the final status of one SMS of a campaign, every time it comes."""
    swallow = SwallowOne()
    hit = [callback for callback in schedule(TRAFFIC, START) if swallow(callback)]
    assert len({callback.body for callback in hit}) == 1
    (subject,) = {callback.subject for callback in hit if isinstance(callback.subject, StatusCallback)}
    assert subject.message.sms_key(subject.part) == swallow.sms_key
    assert subject.change.status.is_final
    assert subject.message.campaign
