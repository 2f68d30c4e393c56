"""All outputs and rows of a load with every verdict, as one hash: a change that only saves time keeps it."""

from streams.contract.records import Reason
from tests.support.every_verdict import POLICIES, Digest, verdict_load

GOLDEN = "b11e1d95-bcee8160-621b30c0-0e21e11f-4c5db841-7cf38164-01fe2ab5-8b0e1d13-972cb08f-2653cadb-03250546-84e49909"
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
