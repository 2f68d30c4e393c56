"""
The totals of the partitions as Prometheus reads them.
"""

from types import SimpleNamespace
from typing import Any, cast

from streams.contract.records import Reason
from streams.domain.tally import TALLY_KEY
from streams.metrics import StateMetrics


def test_each_reason_of_a_rejection_is_told_before_its_first_callback() -> None:
    """A series that begins with its first callbacks has no increase, and no alarm would come of them."""
    tally = {"accepted": 9, "verdicts": {"applied": 4, "rejected": 5}, "rejected": {"bug": 5}}
    owned = {3: SimpleNamespace(partition=SimpleNamespace(rows={TALLY_KEY: tally}))}
    app = SimpleNamespace(sms=SimpleNamespace(checkpointer=SimpleNamespace(owned=owned)))
    _, _, rejected, _ = StateMetrics(cast("Any", app), cast("Any", None))._totals()
    told = {sample.labels["reason"]: sample.value for sample in rejected.samples}
    assert told == dict.fromkeys(Reason, 0) | {"bug": 5}
    assert {sample.labels["partition"] for sample in rejected.samples} == {"3"}
