"""
The end of a campaign's state: 400 days of stream time after its last change, and as if no row had ever been there.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from streams.contract.codec import format_time
from streams.domain.campaign_stage import CAMPAIGN_PREFIX, TIME_KEY, CampaignStage
from streams.domain.counts import COUNTS_PREFIX
from streams.domain.policy import CAMPAIGN_DAYS, HOUR_MS, Policy
from streams.domain.silence import passed, touched_at
from streams.domain.stage import GENERATION_KEY, Stage
from tests.builders import campaign_report, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import Pipeline

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY_MS = 24 * HOUR_MS
OTHER = "another-campaign"
FILLING = 800
"""So many callbacks let a partition forget all messages that are due."""


def at(day: float) -> str:
    return format_time(BEGIN + timedelta(days=day))


def sms(name: str, day: float, status: str = "Delivered", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return sms_callback(status, at(day), message_id=name, sms_id=name, **fields)


class Simulated(Pipeline):
    """Two source partitions in simulated time; rows that are over are deleted only when a test says so."""

    def __init__(self) -> None:
        super().__init__(Policy(retention_hours=48))
        for partition in (0, 1):
            self.sms_rows[partition] = MemoryRows()

    def take(self, day: float, *callbacks: dict[str, Any], partition: int = 0) -> None:
        self.send(*callbacks, received_at=at(day), partition=partition)
        self.settle()

    def reach(self, day: float, partitions: tuple[int, ...] = (0, 1)) -> None:
        """Let stream time come to a day, and the messages of before be forgotten."""
        for partition in partitions:
            filler = sms(f"filler-{partition}-{day}", day, campaign=OTHER)
            self.take(day, *[filler] * FILLING, partition=partition)

    def forget(self) -> int:
        stages: list[tuple[Stage, MemoryRows]] = [(self.sms_stage, rows) for rows in self.sms_rows.values()]
        stages.append((self.campaign_stage, self.campaign_rows))
        return sum(
            stage.forget(rows, [key for key in rows.written if key.startswith(stage.forgettable or ())])
            for stage, rows in stages
        )

    def states_of(self, campaign: str) -> int:
        """Return how many rows there are of a campaign, in both stages."""
        keys = [key for rows in (*self.sms_rows.values(), self.campaign_rows) for key in rows.written]
        return sum(key in (COUNTS_PREFIX + campaign.encode(), CAMPAIGN_PREFIX + campaign.encode()) for key in keys)


def test_the_rows_of_a_campaign_go_400_days_after_its_last_change_and_no_sooner() -> None:
    simulated = Simulated()
    simulated.take(0, sms("a", 0, campaign="c"), campaign_report(campaign="c"))
    simulated.take(0, sms("b", 0, campaign="c"), partition=1)
    simulated.reach(CAMPAIGN_DAYS - 1)
    assert simulated.forget() == 0
    assert simulated.states_of("c") == 3
    simulated.reach(CAMPAIGN_DAYS + 1)
    assert simulated.forget() == 3
    assert simulated.states_of("c") == 0
    assert simulated.states_of(OTHER) == 3


def test_forgetting_makes_no_record_on_any_topic() -> None:
    simulated = Simulated()
    simulated.take(0, sms("a", 0, campaign="c"), campaign_report(campaign="c"))
    simulated.reach(CAMPAIGN_DAYS + 1)
    made = len(simulated.outputs)
    assert simulated.forget() == 2
    assert simulated.settle() == []
    assert len(simulated.outputs) == made
    assert simulated.partials == []


def test_a_report_alone_keeps_and_ends_a_campaign() -> None:
    simulated = Simulated()
    simulated.take(0, campaign_report("Running", campaign="c"))
    simulated.reach(200)
    simulated.take(300, campaign_report("Finished", campaign="c"))
    simulated.reach(300 + CAMPAIGN_DAYS - 1)
    assert simulated.forget() == 0
    simulated.reach(300 + CAMPAIGN_DAYS + 1)
    simulated.forget()
    assert simulated.states_of("c") == 0


@pytest.mark.parametrize("deletes", [False, True], ids=["rows still there", "rows deleted"])
def test_a_later_callback_begins_the_campaign_anew(*, deletes: bool) -> None:
    simulated = Simulated()
    simulated.take(0, sms("a", 0, campaign="c", campaignName="Old"), campaign_report("Finished", campaign="c"))
    before = simulated.campaign("c")
    simulated.reach(CAMPAIGN_DAYS + 1)
    if deletes:
        simulated.forget()
    simulated.take(CAMPAIGN_DAYS + 2, sms("b", CAMPAIGN_DAYS + 2, campaign="c", campaignName="New"))
    after = simulated.campaign("c")
    assert (after["messages"], after["name"], after["is_final"]) == (1, "New", False)
    assert after["first_received_at"] == at(CAMPAIGN_DAYS + 2)
    assert after["revision"] > before["revision"]
    assert after["generation"] == before["generation"]


def test_a_partition_that_forgot_a_campaign_loses_no_count_of_one_that_goes_on() -> None:
    simulated = Simulated()
    for name in ("a", "b"):
        simulated.take(0, sms(name, 0, "Undelivered", campaign="c"))
    for day in (300, 600, 900, 1_200):
        simulated.reach(day)
        simulated.take(day, sms(f"d{day}", day, campaign="c"), partition=1)
        simulated.forget()
    assert simulated.sms_rows[0].get(COUNTS_PREFIX + b"c") is None
    for number, day in enumerate((1_300, 1_600, 1_900), 7):
        simulated.take(day, sms(f"e{day}", day, campaign="c"))
        assert simulated.campaign("c")["messages"] == number
        simulated.reach(day + 200)
        simulated.take(day + 200, campaign_report(campaign="c"))
    view = simulated.campaign("c")
    assert view["messages_by_status"] == {"Delivered": 7, "Undelivered": 2}
    assert view["price_total"] == "0.38880000"


def test_counts_of_rows_made_anew_replace_forgotten_ones_too() -> None:
    """As `rebuild` has it: rows made anew count again what the source still has."""
    simulated = Simulated()
    simulated.take(0, sms("a", 0, campaign="c"))
    for day in (300, 600):
        simulated.reach(day)
        simulated.take(day, sms(f"d{day}", day, campaign="c"), partition=1)
        simulated.forget()
    simulated.take(700, sms("b", 700, campaign="c"))
    assert simulated.campaign("c")["messages"] == 4
    simulated.sms_rows[0] = anew = MemoryRows()
    anew.put(GENERATION_KEY, 1)
    simulated.take(701, sms("b", 700, campaign="c"))
    assert simulated.campaign("c")["messages"] == 3


def test_a_message_that_copies_of_old_callbacks_keep_keeps_the_counts_that_it_is_in() -> None:
    simulated = Simulated()
    simulated.take(0, sms("a", 0, "Sent", campaign="c"), sms("b", 0, campaign="c"))
    day = 0
    while day < 2 * CAMPAIGN_DAYS:
        day += 7
        simulated.take(day, sms("a", 0, "Sent", campaign="c"), sms(f"other-{day}", day, campaign=OTHER))
        simulated.reach(day, (0,))
        simulated.forget()
    simulated.take(day, sms("a", day, campaign="c"))
    assert simulated.campaign("c")["messages_by_status"] == {"Delivered": 2}


def test_a_status_of_a_message_that_is_due_moves_the_counts_that_it_is_in() -> None:
    """A partition without traffic for years: its messages are forgotten after the first record, not before."""
    simulated = Simulated()
    simulated.take(0, sms("a", 0, "Sent", campaign="c"), sms("b", 0, campaign="c"))
    simulated.take(900, sms("a", 900, campaign="c"))
    simulated.forget()
    assert simulated.campaign("c")["messages_by_status"] == {"Delivered": 2}


def test_it_does_not_matter_when_rows_that_are_over_are_deleted() -> None:
    """A worker deletes them when it has time, and a replay by another one at other moments."""
    for seed in range(2):
        chance = random.Random(seed)  # noqa: S311 - a seeded test
        always, sometimes, never = Simulated(), Simulated(), Simulated()
        day = 0.0
        for number in range(40):
            day += chance.choice((0.1, 30, 150, 410))
            partition, campaign = chance.randrange(2), f"c{chance.randrange(4)}"
            is_report, reaches = chance.random() < 0.2, chance.random() < 0.3
            callback = campaign_report(campaign=campaign) if is_report else sms(f"m{number}", day, campaign=campaign)
            for simulated in (always, sometimes, never):
                simulated.take(day, callback, partition=partition)
                if reaches:
                    simulated.reach(day)
            always.forget()
            if chance.random() < 0.3:
                sometimes.forget()
        for simulated in (always, sometimes, never):
            simulated.reach(day + CAMPAIGN_DAYS + 1)
        always.forget()
        assert always.outputs == sometimes.outputs == never.outputs
        assert never.forget() > 0
        sometimes.forget()
        assert sometimes.campaign_rows.rows == never.campaign_rows.rows == always.campaign_rows.rows


def test_counts_outlive_messages_that_are_kept_very_long() -> None:
    assert Policy().silence_ms == CAMPAIGN_DAYS * DAY_MS
    assert Policy(retention_hours=24 * 100).silence_ms == 800 * DAY_MS


def test_an_ingest_whose_clock_is_years_ahead_ends_no_campaign() -> None:
    simulated = Simulated()
    simulated.take(0, sms("a", 0, campaign="c"), campaign_report(campaign="c"))
    for number in range(50):
        simulated.take(3_000, sms(f"x{number}", 1, campaign=OTHER), campaign_report(campaign=OTHER))
    simulated.reach(20)
    assert simulated.forget() == 0
    # The time of receipt was years ahead; the campaign ends by stream time nevertheless.
    simulated.take(4_000, sms("y", 21, campaign="c"))
    simulated.reach(21 + CAMPAIGN_DAYS + 1)
    simulated.forget()
    assert simulated.states_of("c") == 0


def test_without_dates_our_clock_moves_time_by_an_hour_at_a_time() -> None:
    assert passed(0, 0, 1_000) == 1_000
    assert passed(1_000, 0, 1_000 + 5 * HOUR_MS) == 1_000 + HOUR_MS
    assert passed(1_000, 0, 500) == 1_000
    assert passed(1_000, 5_000, 9 * DAY_MS) == 5_000
    assert passed(5_000, 1_000, 9 * DAY_MS) == 5_000


def test_campaigns_of_a_source_without_any_date_end_too() -> None:
    """A customer who has the callbacks of campaigns only."""
    simulated, hour = Simulated(), 1 / 24
    simulated.take(0, campaign_report(campaign="c"))
    stage, rows = simulated.campaign_stage, simulated.campaign_rows
    (line,) = outputs_of(simulated.sms_stage.apply(MemoryRows(), 0, 0, envelope(campaign_report(campaign=OTHER))))
    report = orjson.loads(line.value)
    assert report["clock"] == 0
    received = round(BEGIN.timestamp() * 1000)
    for offset in range(1, round((CAMPAIGN_DAYS + 1) / hour)):
        later = {**report, "received": received + offset * HOUR_MS, "place": [0, offset, 0]}
        outputs_of(stage.apply(rows, 0, offset, orjson.dumps(later)))
    assert simulated.forget() == 1
    assert simulated.states_of("c") == 0


def test_rows_and_lines_of_an_older_version_end_by_their_time_of_receipt() -> None:
    simulated = Simulated()
    simulated.take(0, sms("a", 0, campaign="c"), campaign_report(campaign="c"))
    for rows in (simulated.sms_rows[0], simulated.campaign_rows):
        for key, row in rows.rows.items():
            if isinstance(row, dict):
                rows.put(key, {name: value for name, value in row.items() if name not in ("touched", "begun")})
    simulated.reach(CAMPAIGN_DAYS - 1)
    assert simulated.forget() == 0
    simulated.reach(CAMPAIGN_DAYS + 1)
    simulated.forget()
    assert simulated.states_of("c") == 0


def test_a_line_of_an_older_version_moves_time_by_its_receipt() -> None:
    stage, rows = CampaignStage(), MemoryRows()
    counts = {
        "id": "c", "name": None, "v": 7, "taken": 1, "messages": {"Sent": 1}, "parts": {"Sent": 1}, "price": "0",
        "conflicts": 0, "first": 1_000, "last": 2_000,
    }  # fmt: skip
    outputs_of(stage.apply(rows, 0, 0, orjson.dumps({"partition": 0, "generation": 0, "counts": counts})))
    assert rows.get(TIME_KEY) == 2_000


def test_a_row_that_an_older_version_changed_since_tells_its_time_of_receipt() -> None:
    assert touched_at([7, 5_000], 7, 1_000) == 5_000
    assert touched_at([7, 5_000], 8, 1_000) == 1_000
    assert touched_at([7, 0], 7, 1_000) == 1_000
    assert touched_at([7, 5_000, "later"], 7, 1_000) == 5_000  # type: ignore[list-item]


def test_receipts_count_where_stream_time_stands_still_but_not_those_of_a_clock_far_ahead() -> None:
    assert touched_at([7, 1_000], 7, 1_000 + 100 * DAY_MS) == 1_000 + 100 * DAY_MS
    assert touched_at([7, 1_000], 7, 1_000 + 500 * DAY_MS) == 1_000
