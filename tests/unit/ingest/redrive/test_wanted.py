"""The refused callbacks that a redrive is asked for."""

import pytest

from ingest.redrive.topics import Wanted
from streams.contract.records import Reason
from tests.unit.ingest.redrive.refused import NOON_MS, refused


@pytest.mark.parametrize(
    ("since", "until", "reasons", "is_wanted"),
    [
        (0, 1, [], True),
        (1, 2, [], False),
        (-1, 0, [], False),
        (0, 1, [Reason.BUG], True),
        (0, 1, [Reason.NOT_JSON], False),
    ],
)
def test_they_begin_at_since_end_before_until_and_have_one_of_the_reasons(
    since: int, until: int, reasons: list[Reason], *, is_wanted: bool
) -> None:
    assert Wanted(NOON_MS + since, NOON_MS + until, frozenset(reasons)).has(refused()) is is_wanted
