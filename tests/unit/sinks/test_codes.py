"""
The meaning of ClickHouse's error codes for the rows being written.
"""

import pytest

from sinks.clickhouse.codes import CODES, Meaning, meaning_of, name_of


@pytest.mark.parametrize("code", [27, 41, 72, 117, 130, 349, 467, 469])
def test_a_fault_of_data_costs_the_row(code: int) -> None:
    assert meaning_of(code) is Meaning.ROW


@pytest.mark.parametrize("code", [None, 3, 159, 164, 202, 209, 210, 241, 242, 243, 252, 999])
def test_a_store_in_trouble_is_waited_for(code: int | None) -> None:
    assert meaning_of(code) is Meaning.RETRY


@pytest.mark.parametrize("code", [16, 47, 60, 62, 81, 115, 497, 516])
def test_an_error_for_a_person_ends_the_program(code: int) -> None:
    assert meaning_of(code) is Meaning.PERSON


def test_a_code_that_is_not_listed_never_costs_a_row() -> None:
    assert 123_456 not in CODES
    assert meaning_of(123_456) is Meaning.RETRY


def test_errors_have_names_for_people() -> None:
    assert name_of(252) == "TOO_MANY_PARTS (252)"
    assert name_of(123_456) == "error 123456"
    assert name_of(None) == "no answer"
