"""Lists over the rows of a worker: each change is in them, wherever its row lies; a lost partition is not read."""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from streams.contract.answers import CampaignState
from streams.domain.campaign_index import Wanted
from streams.domain.campaign_stage import CampaignStage
from streams.domain.policy import CAMPAIGN_MS
from streams.read_api import campaign_lists
from streams.read_api.campaign_lists import CampaignLists
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.throttle import Throttle
from streams.state.store.stores import MemoryStore
from streams.state.turns import Turns

RUNNING, FINISHED = CampaignState.RUNNING, CampaignState.FINISHED
BEGIN_MS = 1_795_300_000_000


class Worker:
    """Two partitions of campaigns over a store, flushed when a test says so."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.owned: dict[int, Any] = {}
        for number in (0, 1):
            self.own(number)
        table: Any = SimpleNamespace(store=self.store, checkpointer=SimpleNamespace(owned=self.owned))
        self.finished: set[int] = set()
        self.finished_at_check: set[int] = set()
        self.lists = CampaignLists(table, self._check, Turns())
        self._flushing: list[Any] = []

    def _check(self) -> None:
        """Note which campaigns are finished at the moment of the list."""
        self.finished_at_check = {*self.finished}

    def own(self, number: int) -> None:
        self.store.open(number)
        partition = Partition(
            number, CampaignStage(), lambda key: self.store.read(number, key), Throttle(0.0), Origin("topic-id")
        )
        self.owned[number] = SimpleNamespace(partition=partition)

    def lose(self, number: int) -> None:
        del self.owned[number]
        self.store.close(number)

    def report(self, campaign: int, status: str = "Running", at: int = 0, clock: int = 0) -> None:
        """Take a report of a campaign in, which lies in one of the partitions."""
        partition = self.owned[campaign % 2].partition
        offset = partition.next
        report = {
            "name": None, "campaign_status": status, "strategy": None, "total_recipients": 5, "counts": None
        }  # fmt: skip
        line = {
            "partition": 0, "generation": 0, "campaign": f"c-{campaign:03}", "place": [0, offset, 0],
            "received": BEGIN_MS + (at or campaign), "report": report, "clock": clock,
        }  # fmt: skip
        for _ in partition.take_in(offset, orjson.dumps(line)):
            pass
        if status == "Finished":
            self.finished.add(campaign)

    def forget(self, number: int) -> None:
        """Delete the campaigns of a partition that are over."""
        partition = self.owned[number].partition
        while partition.is_forgetting(0.0):
            partition.forget_slice(lambda prefix, after: self.store.scan(number, prefix, after))

    def seal(self) -> list[Any]:
        """Begin a flush, after the end of the one before; return what it has to store."""
        self.write(self._flushing)
        self._flushing = [one.partition.seal(0.0) for one in self.owned.values()]
        return self._flushing

    def write(self, checkpoints: list[Any]) -> None:
        """End a flush."""
        for checkpoint in checkpoints:
            self.store.write(checkpoint.partition, checkpoint.rows, checkpoint.position.offset)

    async def listed(self, state: CampaignState | None = None, limit: int = 100) -> list[int]:
        page = await self.lists.page(Wanted(state, limit=limit))
        assert page.searched == sorted(self.owned)
        return [int(record["campaign_tracking_id"][2:]) for record in page.records]


@pytest.fixture(params=["not flushed", "sealed", "stored", "stored before"])
def worker(request: pytest.FixtureRequest) -> Worker:
    """Give a worker with campaigns 1 to 9 whose rows are as far on their way as the name says."""
    worker = Worker()
    for campaign in range(1, 10):
        worker.report(campaign)
    if request.param != "not flushed":
        checkpoints = worker.seal()
        if request.param != "sealed":
            worker.write(checkpoints)
        if request.param == "stored before":
            worker.write(worker.seal())
    return worker


async def test_each_campaign_is_listed_wherever_its_row_lies(worker: Worker) -> None:
    assert await worker.listed() == [*range(9, 0, -1)]
    assert await worker.listed(limit=4) == [9, 8, 7, 6]
    assert await worker.listed(FINISHED) == []


async def test_a_campaign_that_is_forgotten_leaves_the_lists() -> None:
    worker = Worker()
    for campaign in range(1, 10):
        worker.report(campaign)
    worker.write(worker.seal())
    assert len(await worker.listed()) == 9
    worker.report(2, clock=BEGIN_MS + 2 * CAMPAIGN_MS)
    worker.forget(0)
    assert await worker.listed() == [9, 7, 5, 3, 2, 1]
    worker.write(worker.seal())
    assert await worker.listed() == [9, 7, 5, 3, 2, 1]
    worker.report(4)
    assert await worker.listed() == [9, 7, 5, 4, 3, 2, 1]


async def test_each_change_is_in_the_next_list(worker: Worker) -> None:
    assert len(await worker.listed()) == 9
    worker.report(4, "Finished", at=40)
    worker.report(11)
    assert await worker.listed(RUNNING) == [11, 9, 8, 7, 6, 5, 3, 2, 1]
    checkpoints = worker.seal()
    worker.report(7, "Finished", at=30)
    assert await worker.listed(FINISHED) == [4, 7]
    worker.write(checkpoints)
    assert await worker.listed(RUNNING) == [11, 9, 8, 6, 5, 3, 2, 1]
    worker.write(worker.seal())
    assert await worker.listed(FINISHED) == [4, 7]
    assert await worker.listed() == [11, *range(9, 0, -1)]


async def test_changes_while_the_rows_are_read_are_in_the_list(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_lists, "_PORTION_ROWS", 1)

    class Changing:
        turns = 0

        async def offer(self, *, answer: bool = False) -> None:
            assert answer
            self.turns += 1
            campaign = self.turns % 9 + 1
            worker.report(campaign, "Finished", at=100 + campaign)
            if self.turns % 3 == 0:
                worker.write(worker.seal())

    vars(worker.lists)["_turns"] = Changing()
    assert set(await worker.listed(FINISHED)) == worker.finished_at_check
    assert worker.finished_at_check


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("comes", ["", "back"])
async def test_a_partition_that_is_lost_meanwhile_is_not_read_and_not_searched(
    at: int, comes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it comes back at once, with the rows that another worker wrote meanwhile."""
    monkeypatch.setattr(campaign_lists, "_PORTION_ROWS", 1)
    worker = Worker()
    for campaign in range(1, 10):
        worker.report(campaign)
    worker.write(worker.seal())

    class Losing:
        turns = 0

        async def offer(self, *, answer: bool = False) -> None:
            assert answer
            self.turns += 1
            if self.turns == at:
                worker.lose(1)
                if comes:
                    worker.own(1)
                    worker.report(77)

    vars(worker.lists)["_turns"] = Losing()
    page = await worker.lists.page(Wanted())
    found = [int(record["campaign_tracking_id"][2:]) for record in page.records]
    assert [one for one in found if one % 2 == 0] == [8, 6, 4, 2]
    of_the_other = [one for one in found if one % 2]
    if page.searched == [0]:
        assert of_the_other == []
    else:
        assert page.searched == [0, 1]
        assert of_the_other in ([77], [9, 7, 5, 3, 1])
    assert await worker.listed() == ([77, 8, 6, 4, 2] if comes else [8, 6, 4, 2])


async def test_a_list_that_is_given_up_leaves_the_next_one_whole(worker: Worker) -> None:
    assert len(await worker.listed()) == 9

    class Stopping:
        async def offer(self, *, answer: bool = False) -> None:
            assert answer
            raise asyncio.CancelledError

    turns = vars(worker.lists)["_turns"]
    for campaign in (2, 4, 6):
        worker.report(campaign, "Finished", at=campaign)
    vars(worker.lists)["_turns"] = Stopping()
    with pytest.raises(asyncio.CancelledError):
        await worker.lists.page(Wanted())
    vars(worker.lists)["_turns"] = turns
    assert await worker.listed(FINISHED) == [6, 4, 2]
    assert await worker.listed(RUNNING) == [9, 8, 7, 5, 3, 1]


async def test_nothing_is_noted_while_no_list_is_asked_for(worker: Worker) -> None:
    worker.seal()
    assert all(one.partition._watched is None for one in worker.owned.values())
