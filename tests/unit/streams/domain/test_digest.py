"""All outputs and rows of a load with every verdict, as one hash: a change that only saves time keeps it."""

from streams.contract.records import Reason
from tests.support.every_verdict import POLICIES, Digest, verdict_load

GOLDEN = "9ef6d1ce-4cf37a0e-8c4bcba1-01eefaf5-83165bc9-3304b6fd-9551cdd9-8265118d-183119df-d0793dbb-b7bccc07-e49645aa"
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
