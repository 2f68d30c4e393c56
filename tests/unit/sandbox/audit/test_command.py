"""
The report of `verify`, and the lines of `emulate` and `up`.
"""

import pytest

from sandbox import up
from sandbox.audit import command
from sandbox.audit.audit import Audit
from sandbox.audit.differences import Difference
from sandbox.emulator import command as emulate
from sandbox.settings import SandboxSettings

HOSTILE = "50 % off [/now]\x1b]0;x\x07\x1b[2J\r\n0 differences\u202e"
SHOWN = "50 % off [/now]\\x1b]0;x\\x07\\x1b[2J\\r\\n0 differences\\u202e"


def test_a_difference_is_one_line_without_control_characters() -> None:
    report = command._report(Audit(differences=[Difference(f"campaign {HOSTILE}", "name", HOSTILE, HOSTILE)]))
    line, total = report.splitlines()
    assert line == f"campaign {SHOWN}: name is {SHOWN}, the ledger says {SHOWN}"
    assert total.startswith("1 differences")


def test_lines_on_standard_error_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    emulate._say(HOSTILE)
    up._Progress(SandboxSettings()).say(HOSTILE)
    told = capsys.readouterr().err
    assert SHOWN.replace("\\n", "\n") in told
    assert not set("\x1b\x07\r\u202e") & set(told)
