"""All outputs and rows of a load with every verdict, as one hash: a change that only saves time keeps it."""

from streams.contract.records import Reason
from tests.support.every_verdict import POLICIES, Digest, verdict_load

GOLDEN = "7fc1d2f6-088f9826-d8b76342-23fc7bb8-0ad1506a-614847b5-35e9a631-f30ee03b-8e39fed9-049edf92-f337f21a-67cc16a1"
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
    tallies = [digest.tally for digest in digests(range(3))]
    verdicts = {verdict for tally in tallies for verdict in tally["verdicts"]}
    assert verdicts == {"applied", "duplicate", "stale", "conflict", "report", "rejected"}
    assert {reason for tally in tallies for reason in tally["rejected"]} == set(Reason) - BY_INGEST_ONLY
