"""
The output of the demo, without a sandbox behind it.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from sandbox.audit.audit import Audit
from sandbox.audit.differences import Difference
from sandbox.demo.run import Look, SwallowOne, traffic_options
from sandbox.demo.screen import Screen, difference_lines, healed_line, verdict_lines
from sandbox.emulator.sender import Tally
from sandbox.emulator.traffic.model import Campaign, StatusCallback
from sandbox.emulator.traffic.population import campaigns
from sandbox.emulator.traffic.schedule import schedule
from streams.program.printable import printable

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


HOSTILE = (
    "[/now]",
    "[bold]x",
    "[link=http://x.example]",
    "\\[red]",
    ":warning:",
    "\x1b]0;t\x07",
    "\x1b[2J",
    "\x9b2J",
    "a\rb",
    "a\nb",
    "\u202ex",
    "\u200bx",
    "日本語",
    "e\u0301",
    "\ud800",
)
PLANNED = campaigns(TRAFFIC, START)[:1]


def look_with(text: str) -> Look:
    row = {"messages_final": 20, "messages_delivered": 18, "campaign_status": text}
    return Look(Tally(accepted=100), 2.0, {PLANNED[0].tracking_id: row})


def shown_in_step(screen: Screen, text: str) -> None:
    with screen.step(text) as tell:
        tell(text)


def shown_in_progress(screen: Screen, text: str) -> None:
    named = SimpleNamespace(tracking_id=PLANNED[0].tracking_id, name=text, recipients=40)
    with screen.campaigns([cast("Campaign", named)]) as show:
        show(look_with(text))


SHOWN: dict[str, Callable[[Screen, str], None]] = {
    "step": shown_in_step,
    "done": Screen.done,
    "failed": lambda screen, text: screen.failed(text.replace("\n", "\\n")),  # the lines of an error stay lines
    "heading": lambda screen, text: screen.heading(text, text),
    "progress": shown_in_progress,
    "name": lambda screen, text: screen.table([{**ROW, "name": text}]),
    "strategy": lambda screen, text: screen.table([{**ROW, "strategy": text}]),
    "verdict": lambda screen, text: screen.table([{**ROW, "reconciliation": text}]),
    "drift": lambda screen, text: screen.table([{**ROW, "drift": {text: 1}}]),
    "question": lambda screen, text: screen.answers(text, "SELECT 1", []),
    "column": lambda screen, text: screen.answers("Who?", "SELECT 1", [{text: 1}]),
    "cell": lambda screen, text: screen.answers("Who?", "SELECT 1", [{"operator": text, "n": 1}]),
    "hint": lambda screen, text: screen.hint(text.replace("\n", "\\n")),
    "command": Screen.command,
    "difference": lambda screen, text: screen.done(*difference_lines(Audit(differences=[of_name(text)]))),
}


def of_name(text: str) -> Difference:
    return Difference("SMS 1", "operator", text, "Airtel")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("place", SHOWN)
@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_words_of_a_callback_are_shown_as_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: str, text: str, *, terminal: bool
) -> None:
    """Neither markup nor a control character of a name, a status, an operator does anything, wherever it is shown."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setattr("sandbox.demo.screen._PLAIN_LINE_SECONDS", -1.0)
    SHOWN[place](Screen(), text)
    out = capsys.readouterr().out
    assert printable(text) in out
    assert text == printable(text) or text not in out
    # Escape sequences of the screen itself are colours and movements, on a terminal only.
    assert ("\x1b[" in out) == terminal
    assert not any(sequence in out for sequence in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e", "\u200b"))


def test_a_campaign_of_which_little_is_known_has_empty_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """A running demo takes such a report from any client: without a name, a strategy, recipients, or any SMS."""
    unknown = dict.fromkeys(("name", "strategy", "total_recipients", "delivery_rate"))
    Screen().table([ROW, {**ROW, **unknown}])
    line = capsys.readouterr().out.splitlines()[2]
    assert line.split() == ["1,797", "1,382", "64.9072", "mixed", "Delivered", "+1,", "Failed", "-1"]


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
            show(Look(Tally(accepted=120, swallowed=20), 2.0, rows))
    assert capsys.readouterr().out.splitlines() == ["  100 callbacks accepted, 50/s · Spring sale 50 %"]


def test_agreement_is_an_equation() -> None:
    """Callbacks answered 200 are the sum of all verdicts and of the refusals of ingest."""
    verdicts = {"applied": 70, "duplicate": 10, "stale": 6, "conflict": 1, "report": 4, "rejected": 3}
    found = Audit(sms=50, messages=45, campaigns=2, malformed=9, verdicts=verdicts)
    lines = list(verdict_lines(found, Tally(accepted=100)))
    assert "100 answered 200 = 70 applied + 10 duplicate + 6 stale + 1 conflict + 4 report + 3 rejected" in lines[1]
    assert lines[1].endswith("+ 6 by ingest")


def test_what_was_healed_is_one_line_and_part_of_the_equation() -> None:
    """Swallowed callbacks were answered on the way, so they are no part of the callbacks that were taken in."""
    tally = Tally(accepted=100, swallowed=8)
    line = healed_line(tally, 6, 3)
    assert line.startswith("8 callbacks never came: the backfill asked Routee 3 times, and 6 SMS ")
    assert "92 answered 200 + 7 pulled = " in list(verdict_lines(Audit(pulled=7), tally))[1]


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
