"""Lists of cells: every cell that matches, newest window first, page by page, wherever its row lies."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from streams.contract.codec import format_time_ms
from streams.domain.cells import WINDOW_MS
from streams.domain.delivery_stage import DeliveryStage
from streams.read_api.delivery_lists import DeliveryLists
from streams.read_api.delivery_query import WantedCells, cursor_after_cell, read_cell_query
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.throttle import Throttle
from streams.state.store.stores import MemoryStore
from streams.state.turns import Turns

WINDOWS = (5_984_350, 5_984_351, 5_984_352)
ROUTES: list[tuple[str | None, ...]] = [
    *(("GR", operator, sender, "default", "Sms", None) for operator in ("Cosmote", "Nova", None) for sender in "ab"),
    *(("CY", "Cosmote", sender, "default", "Sms", "x") for sender in "ab"),
    ("G", 'Cos,"mote', "a", "default", "Sms", None),
]


def line(window: int, route: tuple[str | None, ...]) -> bytes:
    cell = f"{window}:{orjson.dumps(route).decode()}"
    counts = {"parts": {"Sent": 1}, "v": 1, "taken": 1}
    return orjson.dumps({"partition": 0, "generation": 0, "forgotten": 0, "cell": cell, "counts": counts})


class Worker:
    """Two partitions of cells over a store."""

    def __init__(self, *, is_stored: bool) -> None:
        self.store, self.owned = MemoryStore(), dict[int, Any]()
        for number in (0, 1):
            self.store.open(number)
            partition = Partition(
                number, DeliveryStage(), partial(self.store.read, number), Throttle(0.0), Origin("id")
            )
            self.owned[number] = SimpleNamespace(partition=partition)
            lines = [line(window, route) for window in WINDOWS for route in ROUTES[number::2]]
            for offset, value in enumerate([b"\n".join(lines[:7]), b"\n".join(lines[7:])]):
                assert [*partition.take_in(offset, value)]
                for _ in range(3 if is_stored and offset == 0 else 0):
                    checkpoint = partition.seal(0.0)
                    self.store.write(number, checkpoint.rows, offset)
        table: Any = SimpleNamespace(store=self.store, checkpointer=SimpleNamespace(owned=self.owned))
        self.lists = DeliveryLists(table, lambda: None, Turns())

    async def listed(self, **query: str) -> list[tuple[str, ...]]:
        """Return window and route of the cells of all pages."""
        found: list[tuple[str, ...]] = []
        while True:
            wanted, faults = read_cell_query([*query.items()])
            assert not faults
            page = await self.lists.page(wanted)
            assert page.searched == sorted(self.owned)
            found += ((one["window_start"], one["country"], one["operator"], one["sender"]) for one in page.records)
            if not page.has_more:
                return found
            assert len(page.records) == wanted.limit
            query["cursor"] = cursor_after_cell(page.records[-1])


@pytest.fixture(params=[False, True], ids=["not flushed", "stored in part"])
def worker(request: pytest.FixtureRequest) -> Worker:
    return Worker(is_stored=request.param)


@pytest.mark.parametrize("limit", ["1", "4", "100"])
async def test_every_cell_is_listed_once_and_newest_windows_come_first(worker: Worker, limit: str) -> None:
    found = await worker.listed(limit=limit)
    assert len(found) == len(set(found)) == len(WINDOWS) * len(ROUTES)
    assert [window for window, *_ in found] == sorted((window for window, *_ in found), reverse=True)


@pytest.mark.parametrize(
    ("country", "operator", "cells"),
    [("GR", None, 6), ("GR", "Cosmote", 2), (None, "Cosmote", 4), ("G", 'Cos,"mote', 1), ("GR", "Cos", 0)],
)
async def test_a_route_is_taken_as_it_stands(
    worker: Worker, country: str | None, operator: str | None, cells: int
) -> None:
    query = {name: value for name, value in (("country", country), ("operator", operator)) if value is not None}
    assert len(await worker.listed(limit="2", **query)) == cells * len(WINDOWS)


async def test_since_and_until_choose_windows(worker: Worker) -> None:
    middle = format_time_ms(WINDOWS[1] * WINDOW_MS)
    assert {window for window, *_ in await worker.listed(until=middle)} == {format_time_ms(WINDOWS[0] * WINDOW_MS)}
    assert len(await worker.listed(since=middle)) == 2 * len(ROUTES)


async def test_a_partition_that_is_lost_is_not_searched(worker: Worker) -> None:
    del worker.owned[1]
    assert (await worker.lists.page(WantedCells())).searched == [0]


def test_every_fault_of_a_query_is_named_at_once_and_no_value_is_repeated() -> None:
    given = [("since", "today"), ("limit", "0"), ("cursor", "x"), ("label", "+306900000001")]
    _, faults = read_cell_query(given)
    assert [fault.partition(":")[0] for fault in faults] == ["label", "since", "limit", "cursor"]
    assert "3069" not in "; ".join(faults)
