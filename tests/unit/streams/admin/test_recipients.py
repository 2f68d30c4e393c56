"""Recipients as people write them."""

import io
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.admin.recipients import given_recipients, names_of, normal_number
from streams.contract.erasures import normal_form
from streams.domain.policy import Policy
from streams.domain.privacy import pseudonym, shown_recipient
from streams.errors import UsageError
from streams.settings import StreamsSettings


@pytest.mark.parametrize(
    "spelling",
    [
        "+306971234567", "00306971234567", "306971234567", " +30 697 123-4567 ", "(0030) 697.123.4567",
        "\u200e+30\u00a06971234567", "(+30) 697/1234567", "+30\u2011697\u2013123\u22124567",
        "\uff0b\uff13\uff10 697\uff0d123\uff0d4567", "+\u0663\u0660 6971234567", "\u0660\u0660306971234567",
    ],
)  # fmt: skip
def test_all_spellings_are_one_number(spelling: str) -> None:
    number = normal_number(spelling)
    assert number == "+306971234567"
    assert normal_form(number) == normal_form(spelling) == "306971234567"


def test_a_prefix_of_long_distance_calls_is_no_part_of_a_number() -> None:
    assert normal_number("+44 (0)20 7946 0018") == "+442079460018"


@pytest.mark.parametrize("text", ["6971234567", "2101234567", "+30", "hello", "+1 800 FLOWERS", "", "+", "1" * 40])
def test_a_text_without_a_number_or_its_country_is_none(text: str) -> None:
    assert normal_number(text) is None


def test_all_bad_lines_are_named_at_once_and_no_number_is(tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_text("+306971234567\n6971234567\n\nhello\n")
    with pytest.raises(UsageError) as refused:
        given_recipients(["+306971234567", "697"], str(file))
    assert str(refused.value).startswith("--recipient 2, line 2, line 4: ")
    assert "6971234567" not in str(refused.value)


def test_each_number_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"\xef\xbb\xbf+306971234567\r\n00306971234567\n\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert given_recipients(["30 697 1234567"], "-") == ["+306971234567"]


def test_no_number_and_no_file_are_refused(tmp_path: Path) -> None:
    for numbers, file in (([], None), ([], str(tmp_path / "missing")), ([], str(tmp_path))):
        with pytest.raises(UsageError):
            given_recipients(numbers, file)


@pytest.mark.parametrize(
    "spelling",
    [
        "+306971234567",
        "306971234567",
        "00306971234567",
        "+30 697 123 4567",
        "0030-697-1234567",
        "+30\u2011697\u00a01234567",
        "+00306971234567",
        "+\u0663\u0660 6971234567",
    ],
)
def test_the_pseudonym_of_each_spelling_is_one_that_an_erasure_makes(spelling: str) -> None:
    key = "k" * 32
    settings = StreamsSettings(streams_recipient="hmac", streams_hmac_key=SecretStr(key))
    shown = shown_recipient(spelling, Policy(recipient="hmac", hmac_key=key))
    assert shown in set(names_of("+306971234567", settings))
    assert shown not in set(names_of("+306971234568", settings))


@pytest.mark.parametrize("text", ["", "()", "Shop", "***567"])
def test_the_pseudonym_of_a_text_that_is_no_number_is_that_of_the_text(text: str) -> None:
    assert shown_recipient(text, Policy(recipient="hmac", hmac_key="k")) == pseudonym(text, "k")
