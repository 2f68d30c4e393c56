"""
No control character of a text from outside reaches a terminal.
"""

import sys
import unicodedata
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.program.exit_codes import USAGE
from streams.program.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x1b[2J\x1b[31m", "\\x1b[2J\\x1b[31m"),
        ("\x9b2J\x90q\x9c", "\\x9b2J\\x90q\\x9c"),
        ("a\rb\nc\td\be\x00f\x7f", "a\\rb\\nc\\td\\x08e\\x00f\\x7f"),
        ("\u202egnp.exe\u202c \u2066x\u2069", "\\u202egnp.exe\\u202c \\u2066x\\u2069"),
        ("a\u200bb\ufeffc\u2060d\u00ade", "a\\u200bb\\ufeffc\\u2060d\\xade"),
        ("one\u2028two\u2029three\x85", "one\\u2028two\\u2029three\\x85"),
        ("\ud83d \udc00", "\\ud83d \\udc00"),
        ("\U000e0041\U000e0001", "\\U000e0041\\U000e0001"),
    ],
)
def test_a_control_character_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Spring sale: 50 % off [/now] [bold]\\n",
        "Ραντεβού Νοεμβρίου",
        "العربية עברית",
        "日本語ｗｉｄｅ",
        "e\u0301\u0323 n\u0303",
        "می\u200cخواهم",
        "👩\u200d💻 ❤\ufe0f",
        "no\u00a0break\u3000space",
        "\U0001fae9 \ue000",  # an emoji younger than some Pythons, a private character
    ],
)
def test_all_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_lines_keep_their_ends_and_nothing_else() -> None:
    assert printable_lines("one\n\n\x1b[2Jtwo\r\n") == "one\n\n\\x1b[2Jtwo\\r\n"


@given(st.text(st.characters(max_codepoint=sys.maxunicode, categories=None)))
def test_the_result_can_be_shown_anywhere(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(one) for one in shown.replace("\u200c", "").replace("\u200d", "")} & {
        *("Cc", "Cf", "Cs", "Zl", "Zp")
    }
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
    shown.encode()


def test_every_control_character_is_hidden() -> None:
    for number in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0x061C,
        0x200E,
        0x200F,
    ):
        assert printable(chr(number)).startswith("\\"), hex(number)


@pytest.mark.parametrize("program", ["ingest", "streams", "sinks"])
@pytest.mark.parametrize("setting", ["KAFKA_TOPIC_PREFIX", "KAFKA_BOOTSTRAP_SERVERS", "LOG_LEVEL"])
def test_a_wrong_setting_is_quoted_without_its_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, program: str, setting: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(setting, "\x1b[2J\u202e\x9b31m")
    assert import_module(f"{program}.cli").main(["check"]) == USAGE
    told = capsys.readouterr().err
    assert setting in told
    assert not {"\x1b", "\x9b", "\u202e"} & set(told)
