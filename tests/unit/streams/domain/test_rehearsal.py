"""
The rehearsal of alarms over recorded callbacks, as the demo shows it.
"""

import io
from contextlib import redirect_stderr
from pathlib import Path

import orjson
import pytest

from sandbox.demo import alarms
from sandbox.demo.alarms import Rehearsed
from streams.cli import main
from streams.contract.records import DeliveryAlarm
from streams.domain.policy import Policy
from streams.domain.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def recorded() -> list[bytes]:
    return list(alarms.recorded(7))


def test_a_day_of_the_emulator_tells_the_break_of_its_operator(recorded: list[bytes]) -> None:
    rehearsal = Rehearsal(Policy(), {})
    records = [*rehearsal.alarms(recorded)]
    opened, closed = (DeliveryAlarm.model_validate(one) for one in records)
    broke = alarms.broken_operator(7)
    assert (opened.operator, opened.is_open, closed.is_open) == (broke.route.operator, True, False)
    assert 0 < opened.opened_at.timestamp() - broke.begins < 20 * 60
    assert closed.closed_at is not None
    assert 0 < closed.closed_at.timestamp() - broke.ends < 40 * 60
    assert rehearsal.refused == 0
    shown = [*alarms.lines(Rehearsed(broke, records))]
    assert len(shown) == 3
    assert "minutes after the break, delivery-drop opens: Vodafone (GR)" in shown[1]
    assert "minutes after its end, delivery-drop closes: recovered" in shown[2]


def test_the_same_callbacks_tell_the_same_and_a_threshold_holds(recorded: list[bytes]) -> None:
    end = recorded[: len(recorded) // 50]
    assert [*Rehearsal(Policy(), {}).alarms(end)] == [*Rehearsal(Policy(), {}).alarms(end)]


def test_the_command_says_which_line_is_no_envelope_and_how_many_callbacks_were_refused(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "callbacks"
    good = b'{"received_at":"2026-11-20T00:00:00.000Z","callbacks":[{"messageId":"m"}]}\n'
    file.write_bytes(good + b"\n" + good)
    assert main(["alarms", "rehearse", "--from-file", str(file)]) == 0
    told = capfdbinary.readouterr()
    assert (told.out, told.err) == (b"", b"warning: 2 callbacks were refused\n")
    for bad in (b"{", b"[]", b'{"received_at":"soon","callbacks":[]}', b'{"callbacks":[]}'):
        file.write_bytes(good + bad)
        with redirect_stderr(io.StringIO()) as refused:
            assert main(["alarms", "rehearse", "--from-file", str(file)]) == 2
        assert refused.getvalue().startswith("line 2: an envelope of callbacks.raw is expected")
    with redirect_stderr(io.StringIO()) as refused:
        assert main(["alarms", "rehearse", "--from-file", str(tmp_path / "none")]) == 2
    assert refused.getvalue().endswith("none: No such file or directory\n")


def test_records_are_lines_of_json(recorded: list[bytes]) -> None:
    assert all(orjson.loads(line)["callbacks"] for line in recorded[:50])
