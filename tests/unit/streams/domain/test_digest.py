"""All outputs and rows of a load with every verdict, as one hash: a change that only saves time keeps it."""

from streams.contract.records import Reason
from tests.support.every_verdict import POLICIES, Digest, verdict_load

GOLDEN = "9de7db39-7fe1612b-00f4b6b1-c331d09e-d9da8368-56e8fd1e-b587998a-a89e96ea-4a0bf007-da57a153-d2c32049-482edfec"
"""After a change of what the rules write, on purpose: the value that the failed test shows."""

BY_INGEST_ONLY = {Reason.NO_KEY, Reason.TOO_DEEP}


def digests(seeds: range) -> list[Digest]:
    found = []
    for policy in POLICIES:
        for seed in seeds:
            digest = Digest(policy)
            digest.take_in(verdict_load(seed))
            found.append(digest)
    return found


def test_outputs_and_rows_are_the_same_bytes_as_ever() -> None:
    taken = digests(range(3))
    assert "-".join(digest.hex[:8] for digest in taken) == GOLDEN


def test_the_load_has_every_verdict_and_every_refusal() -> None:
    tally = digests(range(1))[0].tally
    assert set(tally["verdicts"]) == {"applied", "duplicate", "stale", "conflict", "report", "rejected"}
    assert set(tally["rejected"]) == {reason.value for reason in Reason} - BY_INGEST_ONLY
    assert tally["notes"]
