"""
A row that does not fit its columns is refused as bad data, whatever words Arrow has for it.
"""

import orjson
import pytest

from sinks.errors import PermanentError
from sinks.files.formats import parquet
from tests.behaviour.sinks.records import campaign
from tests.unit.sinks.records import record


@pytest.mark.parametrize("number", [True, 2**63])
def test_a_count_that_is_none_is_refused_and_does_not_end_the_program(number: object) -> None:
    row = {**campaign("one").model_dump(mode="json"), "drift": {"Delivered": number}}
    with pytest.raises(PermanentError):
        parquet("campaign_progress", [record(0, orjson.dumps(row))])
