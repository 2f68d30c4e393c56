"""
The pages of the backfill: healed statuses, messages that are gone, and whether it gets on.
"""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from ingest.backfill.rounds import Tally
from ingest.backfill.seen import Seen


def seen(tally: Tally) -> Seen:
    routee, filling = SimpleNamespace(asked=7), SimpleNamespace(stored=5)
    return Seen(tally, cast("Any", routee), cast("Any", filling))


def metrics(page: Seen) -> dict[str, float]:
    lines = page.pages().metrics().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_the_metrics_follow_the_tally() -> None:
    """Each kind of healing has its line, also while there is none."""
    tally = Tally()
    page = seen(tally)
    assert metrics(page)['routee_backfill_healed_total{kind="missing"}'] == 0
    assert "routee_backfill_oldest_deadline_seconds" not in metrics(page)
    assert "routee_backfill_gone" not in metrics(page)  # from 0 to 4 would be four new ones
    tally.is_judged = True
    tally.healed.update(missing=2, final=3)
    tally.gone, tally.gone_price, tally.oldest_deadline = 4, Decimal("0.5"), 1_795_000_000.0
    found = metrics(page)
    assert found['routee_backfill_healed_total{kind="missing"}'] == 2
    assert found['routee_backfill_healed_total{kind="final"}'] == 3
    assert (found["routee_backfill_requests_total"], found["routee_backfill_stored_total"]) == (7, 5)
    assert (found["routee_backfill_gone"], found["routee_backfill_gone_price"]) == (4, 0.5)
    assert found["routee_backfill_oldest_deadline_seconds"] == 1_795_000_000


def test_it_tells_its_version_as_every_program() -> None:
    """Beside processor time and memory of its process."""
    found = metrics(seen(Tally()))
    assert any(name.startswith('routee_build_info{program="backfill"') for name in found)
    assert not any("_created" in name for name in found)
    assert found["process_resident_memory_bytes"] > 0


def test_it_is_ready_after_a_round_and_not_after_one_that_failed() -> None:
    """The page says why, without a word of the server's."""
    page = seen(Tally())
    assert page.pages().ready().status == 503
    assert "routee_backfill_round_end_seconds" not in metrics(page)
    page.trouble, page.round_end = None, 1_795_000_000.0
    assert page.pages().ready().status == 200
    assert metrics(page)["routee_backfill_ready"] == 1
    assert metrics(page)["routee_backfill_round_end_seconds"] == 1_795_000_000
    page.trouble = "the last round ended early: the log says why"
    assert page.pages().ready().status == 503
    assert page.pages().live().status == 200
