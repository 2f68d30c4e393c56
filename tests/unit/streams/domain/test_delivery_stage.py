"""
Stage 2 of the cells: the counts of all source partitions together, also when lines come twice or late.
"""

import random
from typing import Any

import orjson
import pytest

from streams.contract.topics import DELIVERY_WINDOWS
from streams.domain.cells import WINDOW_MS
from streams.domain.delivery_partials import changed_cells, closed_cells
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.policy import DAY_MS
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.test_deliveries import Partition, counted, told, traffic

WINDOW = 5_984_352
NAME = f'{WINDOW}:["GR","Cosmote","Shop","default","Sms",null]'
END = (WINDOW + 1) * WINDOW_MS


def line(delivered: int, v: int, partition: int = 0, forgotten: int = 0, **changed: Any) -> bytes:  # noqa: ANN401
    counts = {"messages": {"Delivered": delivered}, "parts": {"Delivered": delivered}, "v": v, "taken": 1}
    told = {"partition": partition, "generation": 1, "forgotten": forgotten, "cell": NAME, "counts": counts}
    return orjson.dumps(told | changed)


class Merged:
    """One partition of stage 2."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.told: dict[str, dict[str, Any]] = {}
        self.rejected: list[dict[str, Any]] = []
        self._offset = 0

    def take(self, *lines: bytes) -> dict[str, Any]:
        """Take in one record of these lines and flush; return the last record of the cell of the tests."""
        stage = DeliveryStage()
        outputs = outputs_of(stage.apply(self.rows, 0, self._offset, b"\n".join(lines)))
        self.rejected += [orjson.loads(output.value) for output in outputs]
        for output in stage.summarize(self.rows, 0, self.rows.changed):
            if output.topic is DELIVERY_WINDOWS:
                self.told[(output.key or b"").decode()] = orjson.loads(output.value)
        self.rows.changed.clear()
        self._offset += 1
        return self.told.get(NAME, {})


def test_counts_of_source_partitions_add_up_and_a_newer_line_replaces_that_of_its_partition() -> None:
    merged = Merged()
    merged.take(line(3, v=5), line(4, v=2, partition=1))
    assert merged.take(line(5, v=6))["parts_by_status"] == {"Delivered": 9}


def test_a_line_that_comes_again_or_late_changes_nothing() -> None:
    merged = Merged()
    before = merged.take(line(3, v=5))
    assert merged.take(line(3, v=5), line(2, v=4)) == before


def test_of_counts_after_the_same_record_those_with_more_erased_sms_are_newer() -> None:
    merged = Merged()
    moved: dict[str, Any] = {"counts": {"parts": {"Delivered": 2}, "v": 5, "taken": 1, "erased": 1}}
    merged.take(line(3, v=5))
    assert merged.take(line(0, v=0, **moved), line(3, v=5))["parts"] == 2


def test_rows_made_anew_replace_counts_however_far_these_had_come() -> None:
    merged = Merged()
    merged.take(line(3, v=5_000))
    assert merged.take(line(1, v=1, generation=2))["parts"] == 1


def test_a_cell_is_closed_when_all_its_source_partitions_have_closed_it() -> None:
    merged = Merged()
    closed: dict[str, Any] = {"counts": {"parts": {"Failed": 1}, "v": 9, "taken": 0, "closed": True}}
    assert not merged.take(line(1, v=1), line(1, v=1, partition=1))["is_closed"]
    assert not merged.take(line(0, v=0, **closed))["is_closed"]
    assert merged.take(line(0, v=0, partition=1, **closed))["is_closed"]


def test_a_cell_is_forgotten_when_no_source_partition_can_change_it_and_not_begun_anew() -> None:
    merged = Merged()
    told = merged.take(line(3, v=5))
    merged.take(line(3, v=5, forgotten=END + 8 * DAY_MS - 1))
    assert merged.rows.with_prefix(b"d:")
    merged.take(line(3, v=5, forgotten=END + 8 * DAY_MS))
    assert merged.take(line(1, v=9, partition=1)) == told
    assert set(merged.rows.rows) == {b"v:"}


def test_a_cell_that_is_over_takes_nothing_also_while_others_wait_to_be_forgotten() -> None:
    merged = Merged()
    earlier = [line(1, v=1, cell=f'{WINDOW - 1}:["GR",null,null,null,null,"{number}"]') for number in range(250)]
    told = merged.take(line(3, v=5), *earlier)
    assert merged.take(line(1, v=9, partition=1, forgotten=END + 8 * DAY_MS)) == told
    assert len(merged.rows.with_prefix(b"d:")) == 201


def test_a_line_that_cannot_be_read_is_rejected_and_stops_no_other() -> None:
    merged = Merged()
    assert merged.take(b"no line", line(3, v=5), b"{}")["parts"] == 3
    assert [rejected["reason"] for rejected in merged.rejected] == ["bug", "bug"]


@pytest.mark.parametrize("seed", range(50))
def test_the_records_of_cells_are_the_counts_of_the_sms_of_all_partitions(seed: int) -> None:
    """Lines come in any batches, some twice; source and stage 2 are taken over meanwhile."""
    chance = random.Random(seed)  # noqa: S311 - the same callbacks for a seed
    sources, merged, sent = [Partition(), Partition()], Merged(), traffic(chance, 20)
    lines: list[bytes] = []
    for callback in sent:
        number = int(callback["messageId"][1:]) % 2
        source = sources[number]
        source.send(callback, received=3_600_000 * chance.uniform(1, 3))
        if chance.random() < 0.3:
            lines += [told.value for told in changed_cells(source.rows, number, source.rows.changed)]
            source.rows = source.rows.reloaded()
        if lines and chance.random() < 0.3:
            merged.take(*lines, *chance.choices(lines, k=2))
            lines, merged.rows = [], merged.rows.reloaded()
    for number, source in enumerate(sources):
        lines += [told.value for told in changed_cells(source.rows, number, source.rows.changed)]
    merged.take(*lines)
    expected = counted([record for source in sources for record in source.last.values()])
    assert told(merged.told.values()) == expected


def test_the_last_line_of_a_closed_cell_is_newer_than_all_before() -> None:
    source, merged = Partition(), Merged()
    source.send({"messageId": "m", "status": {"name": "Delivered", "updatedDate": "2026-11-22T00:00:00Z"}})
    (told,) = [told.value for told in changed_cells(source.rows, 0, source.rows.changed)]
    merged.take(told)
    name = orjson.loads(told)["cell"]
    (last,) = closed_cells(source.rows, 0, [name], 7, 1)
    merged.take(last.value)
    assert orjson.loads(last.key or b"") == [None, None]
    assert merged.told[name]["is_closed"]
    assert merged.told[name]["parts_by_status"] == {"Delivered": 1}
