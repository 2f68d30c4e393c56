import signal
from pathlib import Path

import pytest

from tests.support.endings import tell_ending


@pytest.mark.parametrize("code", [0, 1, 99, -signal.SIGSEGV])
def test_a_program_that_has_ended_is_told_with_its_exit_code_and_the_end_of_its_log(
    code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "worker-3.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    tell_ending("worker 17", code, log)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"worker 17 had ended with exit code {code}; the last lines of worker-3.log:"
    assert (len(lines), lines[-1]) == (40, "    line 99")


def test_a_program_that_wrote_no_log_is_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_ending("worker 17", 1, tmp_path / "none")
    assert "exit code 1" in capsys.readouterr().out


@pytest.mark.parametrize("code", [None, -signal.SIGKILL])
def test_nothing_is_told_of_one_that_runs_or_was_killed(
    code: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_ending("worker 17", code, tmp_path / "none")
    assert capsys.readouterr().out == ""
