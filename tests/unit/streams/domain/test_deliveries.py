"""
Cells of deliveries: their sums are those of the SMS, however SMS change and move, and their number is bounded.
"""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
import pytest

from streams.contract.codec import format_time_ms
from streams.contract.dates import read_date
from streams.contract.topics import DELIVERY_PARTIALS
from streams.domain.cells import LATENCY_BOUNDS, MORE, WINDOW_MS, place_named
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.tally import read_tally
from tests.builders import ABSENT, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of

START = read_date("2026-11-22T00:00:00Z") or 0
MINUTE, HOUR = 60_000, 3_600_000
DIMENSIONS = ("country", "operator", "sender", "application_name", "originating_service", "label")
FINAL = ("Delivered", "Undelivered", "Failed", "Unsent")

Cell = tuple[int, tuple[str | None, ...]]


def at(ms: float) -> str:
    return format_time_ms(START + round(ms))


class Partition:
    """One partition: its rows, and the last record of each SMS."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.rows = MemoryRows()
        self.stage = SmsStage(policy or Policy())
        self.last: dict[str, dict[str, Any]] = {}
        self._offset = 0

    def send(self, *callbacks: dict[str, Any], received: float = 0) -> None:
        """Take in one envelope, received at this ms after START."""
        value = envelope(*callbacks, received_at=at(received))
        for output in outputs_of(self.stage.apply(self.rows, 0, self._offset, value)):
            record = orjson.loads(output.value)
            if "sms_key" in record:
                self.last[record["sms_key"]] = record
        self._offset += 1

    @property
    def cells(self) -> dict[Cell, dict[str, Any]]:
        return {place_named(key[2:].decode()): row for key, row in self.rows.with_prefix(b"d:").items()}

    @property
    def notes(self) -> dict[str, int]:
        return read_tally(self.rows)["notes"]


def ms_of(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def sending_of(record: dict[str, Any]) -> int:
    """Return the moment of sending of an SMS, from its public record alone."""
    latest = max(ms_of(record["first_received_at"]), ms_of(record["received_at"]))
    told = [ms_of(record[name]) for name in ("queued_at", "sent_at") if record[name]]
    if record["final_at"] and record["latency_seconds"] is not None:
        told.append(ms_of(record["final_at"]) - round(record["latency_seconds"] * 1000))
    told += [ms_of(record["status_updated_at"]), ms_of(record["first_received_at"])]
    return next(moment for moment in told if moment <= latest)


def counted(records: Iterable[dict[str, Any]]) -> dict[Cell, Counter[str]]:
    """Count SMS into cells anew, from their records alone."""
    cells: dict[Cell, Counter[str]] = {}
    firsts: dict[str, dict[str, Any]] = {}
    for record in records:
        cell = cells.setdefault(_cell_of(record), Counter())
        cell[f"parts {record['status']}"] += 1
        cell["conflicts"] += record["conflicts"]
        if record["status"] == "Delivered" and record["latency_seconds"] is not None:
            fitting = (bound for bound in LATENCY_BOUNDS if record["latency_seconds"] <= bound)
            cell[f"latencies {next(fitting, MORE)}"] += 1
        units = round(float(record["price"]) * 10**8) if record["price"] is not None else None
        cell["unpriced"] += units is None
        cell["price"] += units or 0
        cell["price_delivered"] += (units or 0) * (record["status"] == "Delivered")
        cell["price_undelivered"] += (units or 0) * (record["status"] in FINAL[1:])
        first = firsts.get(record["message_id"])
        if first is None or (record["part"] or 1) < (first["part"] or 1):
            firsts[record["message_id"]] = record
    newest: dict[str, dict[str, Any]] = {}
    for record in records:
        known = newest.get(record["message_id"])
        if known is None or record["message_revision"] > known["message_revision"]:
            newest[record["message_id"]] = record
    for message, first in firsts.items():
        cells[_cell_of(first)][f"messages {newest[message]['message_status']}"] += 1
    return {cell: +counts for cell, counts in cells.items()}


def _cell_of(record: dict[str, Any]) -> Cell:
    return sending_of(record) // WINDOW_MS, tuple(record[name] for name in DIMENSIONS)


def flat(row: dict[str, Any]) -> Counter[str]:
    """Return the counts of a cell's row in the form of `counted`."""
    counts: Counter[str] = Counter()
    for kind in ("messages", "parts", "latencies"):
        counts.update({f"{kind} {name}": number for name, number in row[kind].items()})
    counts.update({name: int(row[name]) for name in ("conflicts", "unpriced")})
    counts.update({name: int(row[name]) for name in ("price", "price_delivered", "price_undelivered")})
    return +counts


def told(records: Iterable[dict[str, Any]]) -> dict[Cell, Counter[str]]:
    """Return public records of cells in the form of `counted`; cells without counts are left out."""
    cells = {}
    for record in records:
        prices = {kind: round(float(record[kind]) * 10**8) for kind in ("price_delivered", "price_undelivered")}
        row = {"messages": record["messages_by_status"], "parts": record["parts_by_status"]}
        total, latencies = round(float(record["price_total"]) * 10**8), record["delivered_by_latency"]
        cells[place_named(record["cell"])] = flat({**record, **row, **prices, "price": total, "latencies": latencies})
    return {cell: counts for cell, counts in cells.items() if counts}


def summed(cells: dict[Cell, Counter[str]], dimension: int | None) -> dict[Any, Counter[str]]:
    """Add up cells by window and one dimension; by the window alone when it is None."""
    sums: dict[Any, Counter[str]] = {}
    for (window, route), counts in cells.items():
        sums.setdefault((window, None if dimension is None else route[dimension]), Counter()).update(counts)
    return {key: +counts for key, counts in sums.items() if +counts}


def traffic(chance: random.Random, messages: int) -> list[dict[str, Any]]:
    """Return callbacks of messages of one to three parts, shuffled, some twice, with details and dates that change."""
    sent = []
    for number in range(messages):
        parts, begun = chance.choice([1, 1, 1, 2, 3]), chance.uniform(-HOUR, HOUR / 2)
        route = {
            "country": chance.choice(["GR", "CY", ABSENT]),
            "operator": chance.choice(["Cosmote", "Vodafone", ABSENT]),
            "from": chance.choice(["Shop", "Bank"]),
            "applicationName": chance.choice(["default", "crm"]),
            "originatingService": chance.choice(["Sms", "TwoStep"]),
            "label": chance.choice(["spring", "autumn", ABSENT]),
        }
        for part in range(1, parts + 1):
            moment = begun
            words = chance.choice(
                [
                    ("Queued", "Sent", "Delivered"),
                    ("Sent", "Undelivered"),
                    ("Delivered",),
                    ("Queued", "Failed", "Delivered"),
                ]
            )
            for word in words:
                moment += chance.expovariate(1 / (8 * MINUTE))
                changed = {"operator": chance.choice(["Cosmote", "Wind"])} if chance.random() < 0.3 else {}
                sent.append(
                    sms_callback(
                        word,
                        chance.choice([at(moment), at(moment), at(moment + 3 * HOUR), None]),
                        message_id=f"m{number}",
                        sms_id=f"m{number}-{part}",
                        part=part,
                        parts=parts,
                        **{
                            **route,
                            **changed,
                            "latency": chance.choice([0, 3, 31.5, 4000, 90_000, ABSENT]),
                            "price": chance.choice([0.0432, -0.01, 0, ABSENT]),
                        },
                    )
                )
    sent += chance.choices(sent, k=len(sent) // 10)
    chance.shuffle(sent)
    return sent


def fed(seed: int, policy: Policy | None = None) -> Partition:
    """Return a partition that took in the traffic of a seed, and was taken over by other workers meanwhile."""
    chance = random.Random(seed)  # noqa: S311 - the same callbacks for a seed
    partition, sent = Partition(policy), traffic(chance, 30)
    while sent:
        size = chance.choice([1, 3, 20])
        partition.send(*sent[:size], received=HOUR + chance.uniform(0, 2 * HOUR))
        del sent[:size]
        if chance.random() < 0.2:
            partition.rows = partition.rows.reloaded()
    return partition


@pytest.mark.parametrize("seed", range(50))
def test_every_cell_has_the_counts_of_its_sms(seed: int) -> None:
    partition = fed(seed)
    found = {cell: flat(row) for cell, row in partition.cells.items()}
    expected = counted(partition.last.values())
    assert {cell: counts for cell, counts in found.items() if counts} == expected
    for dimension in (None, *range(len(DIMENSIONS))):
        assert summed(found, dimension) == summed(expected, dimension)


@pytest.mark.parametrize("cells", [10, 20])
@pytest.mark.parametrize("seed", range(10))
def test_a_window_has_no_more_cells_than_there_is_room_for_and_its_sums_stay_whole(seed: int, cells: int) -> None:
    partition = fed(seed, Policy(delivery_cells=cells))
    found = {cell: flat(row) for cell, row in partition.cells.items()}
    assert max(Counter(window for window, _ in found).values()) <= cells
    assert summed(found, None) == summed(counted(partition.last.values()), None)


def test_a_flood_of_invented_names_costs_a_bounded_number_of_cells_and_is_noted() -> None:
    partition = Partition(Policy(delivery_cells=100))
    for number in range(3_000):
        name = f"{number}"
        invented = {"label": name, "from": name, "operator": name, "country": name}
        partition.send(
            sms_callback("Delivered", at(0), message_id=f"m{name}", sms_id=name, **invented), received=MINUTE
        )
    assert len(partition.cells) == 100
    assert sum(row["parts"]["Delivered"] for row in partition.cells.values()) == 3_000
    assert partition.notes == {"coarse-cell": 3_000 - 70}


def test_sms_of_one_envelope_that_differ_in_one_value_are_counted_as_sms_of_their_own_envelopes() -> None:
    together, alone = Partition(), Partition()
    names = ("label", "from", "operator", "country", "applicationName", "originatingService")
    differing: list[dict[str, Any]] = [
        {},
        {"price": 0.05},
        {"latency": 400},
        {"price": ABSENT},
        *({name: "another"} for name in names),
    ]
    sent = [
        sms_callback(status, at(moment), message_id=f"m{number}{twin}", sms_id=f"s{number}{twin}", **values)
        for number, (status, moment, values) in enumerate(
            [("Delivered", HOUR, {}), ("Failed", 0, {}), *(("Delivered", 0, values) for values in differing)]
        )
        for twin in ("", "twin")
    ]
    together.send(*sent, received=2 * HOUR)
    for callback in sent:
        alone.send(callback, received=2 * HOUR)
    found = {cell: flat(row) for cell, row in together.cells.items()}
    assert found == {cell: flat(row) for cell, row in alone.cells.items()} == counted(together.last.values())


def test_each_sms_of_one_envelope_that_enters_a_coarse_cell_is_noted() -> None:
    partition = Partition(Policy(delivery_cells=10))
    for number in range(7):
        name = f"{number}"
        partition.send(
            sms_callback("Delivered", at(0), message_id=f"m{name}", sms_id=name, label=name), received=MINUTE
        )
    alike = [sms_callback("Delivered", at(0), message_id=f"m{number}", sms_id=f"s{number}") for number in range(3)]
    partition.send(*alike, received=MINUTE)
    assert partition.notes == {"coarse-cell": 3}


def test_a_route_that_is_there_before_a_flood_keeps_its_cell_and_the_next_window_has_room_again() -> None:
    partition = Partition(Policy(delivery_cells=20))

    def send(name: str, sent: float, **invented: str) -> None:
        told = sms_callback("Delivered", at(sent), message_id=f"m{name}", sms_id=name, latency=0, **invented)
        partition.send(told, received=HOUR)

    for number in range(300):
        send(f"before {number}", 0)
        send(f"flood {number}", 0, operator=f"invented {number}", label=f"invented {number}")
    send("next", 6 * MINUTE)
    assert max(Counter(window for window, _ in partition.cells).values()) <= 20
    ours = [row["parts"] for (_, route), row in partition.cells.items() if route[1] == "Cosmote"]
    assert ours == [{"Delivered": 300}, {"Delivered": 1}]


@pytest.mark.parametrize("status", ["Sent", "Delivered"])
@pytest.mark.parametrize("parts", [1, 2])
def test_the_next_callback_after_labels_are_to_be_masked_moves_all_parts_of_its_message(
    parts: int, status: str
) -> None:
    """Also one that says nothing new; each part was sent in a window of its own."""
    partition, callback = Partition(), dict[str, Any]()
    for part in range(1, parts + 1):
        one = {"message_id": "m", "sms_id": f"m-{part}", "part": part, "parts": parts, "label": f"order 000000{part}"}
        callback = sms_callback("Sent", at(part * 6 * MINUTE), **one)
        partition.send(callback, received=HOUR)
    partition.stage = SmsStage(Policy(mask_texts=True))
    partition.send(callback | {"status": {**callback["status"], "name": status}}, received=HOUR)
    full = {(window, route[5]) for (window, route), row in partition.cells.items() if row["parts"]}
    assert full == {((START + part * 6 * MINUTE) // WINDOW_MS, f"order ***00{part}") for part in range(1, parts + 1)}
    of_all = status if parts == 1 else "Sent"
    assert [row["messages"] for row in partition.cells.values() if row["messages"]] == [{of_all: 1}]


def test_first_the_label_gives_way_then_the_sender_then_the_operator_then_the_country() -> None:
    partition = Partition(Policy(delivery_cells=10))
    for number in range(14):
        name = f"{number}"
        invented = {"label": name, "from": f"s{number // 2}", "operator": f"o{number // 3}", "country": f"c{number}"}
        partition.send(
            sms_callback("Delivered", at(0), message_id=f"m{name}", sms_id=name, **invented), received=MINUTE
        )
    routes = [route for _, route in partition.cells]
    assert [sum(value == "other" for value in route) for route in routes] == [0] * 7 + [1, 2, 6]


def test_an_sms_leaves_the_very_cell_that_it_entered_also_when_there_is_room_again() -> None:
    partition = Partition(Policy(delivery_cells=10))
    for number in range(20):
        name = f"{number}"
        partition.send(sms_callback("Sent", at(0), message_id=f"m{name}", sms_id=name, label=name), received=MINUTE)
    partition.stage = SmsStage(Policy(delivery_cells=2000))
    for number in range(20):
        name = f"{number}"
        partition.send(
            sms_callback("Delivered", at(1), message_id=f"m{name}", sms_id=name, label=name), received=MINUTE
        )
    assert sum(row["parts"].get("Delivered", 0) for row in partition.cells.values()) == 20
    assert not any("Sent" in row["parts"] or "Sent" in row["messages"] for row in partition.cells.values())
    assert len(partition.cells) == 8


def test_cells_close_a_day_after_the_final_messages_of_their_window_may_be_forgotten() -> None:
    partition = Partition(Policy(retention_hours=48))
    unfinished = sms_callback("Sent", at(0), message_id="late", sms_id="late")
    partition.send(unfinished, received=0)
    partition.send(sms_callback("Delivered", at(0), latency=ABSENT), received=0)
    for hour in range(1, 73):
        other = sms_callback("Delivered", at(hour * HOUR), message_id=f"o{hour}", sms_id=f"o{hour}", latency=ABSENT)
        partition.send(other, received=hour * HOUR)
    assert min(partition.cells)[0] == START // WINDOW_MS
    other = sms_callback("Delivered", at(73 * HOUR), message_id="o73", sms_id="o73", latency=ABSENT)
    partition.send(other, received=73 * HOUR)
    assert min(partition.cells)[0] == (START + HOUR) // WINDOW_MS
    assert partition.notes == {}
    partition.send({**unfinished, "status": {"name": "Delivered", "updatedDate": at(73 * HOUR)}}, received=73 * HOUR)
    assert partition.last["late"]["status"] == "Delivered"
    assert partition.notes == {"closed-cell": 1}
    assert min(partition.cells)[0] == (START + HOUR) // WINDOW_MS


def test_a_cell_that_closes_within_an_envelope_takes_nothing_that_comes_later_in_it() -> None:
    """Callbacks of SMS that were sent in one window, before and after a date by which that window is closed."""
    partition, later = Partition(Policy(retention_hours=48)), 96 * HOUR
    value = envelope(
        sms_callback("Sent", at(0), message_id="known", sms_id="known"),
        sms_callback("Delivered", at(0), message_id="first", sms_id="first", latency=0),
        sms_callback("Delivered", at(26 * HOUR), message_id="alike", sms_id="alike", latency=26 * HOUR // 1000),
        sms_callback("Sent", at(later), message_id="ahead", sms_id="ahead"),
        sms_callback("Delivered", at(later), message_id="known", sms_id="known"),
        sms_callback("Delivered", at(later), message_id="new", sms_id="new", latency=later // 1000),
        received_at=at(later),
    )
    outputs = outputs_of(partition.stage.apply(partition.rows, 0, 0, value))
    (closed,) = [orjson.loads(output.value) for output in outputs if output.topic is DELIVERY_PARTIALS]
    assert place_named(closed["cell"])[0] == START // WINDOW_MS
    assert closed["counts"]["parts"] == {"Sent": 1, "Delivered": 2}
    assert partition.notes == {"closed-cell": 2}


@pytest.mark.parametrize("strategy", ["OnChange", "OnCompletion"])
def test_over_twenty_days_closed_and_open_cells_are_the_sms_less_the_changes_that_were_noted(strategy: str) -> None:
    """Every hour ten SMS; some stay unfinished for up to eight days, and change when their cell is closed."""
    chance = random.Random(5)  # noqa: S311 - the same callbacks
    partition, closed = Partition(Policy(retention_hours=48)), dict[Cell, dict[str, Any]]()
    pending: list[tuple[float, str]] = []
    for hour in range(20 * 24):
        now, callbacks = hour * HOUR, []
        for n in range(10):
            name = f"{hour}-{n}"
            pending.append((now + chance.choice([0.1, 1, 10, 100, 180]) * HOUR, name))
            if strategy == "OnChange":
                callbacks.append(sms_callback("Sent", at(now), message_id=f"m{name}", sms_id=name, label=f"{n % 3}"))
        for due, name in [one for one in pending if one[0] <= now]:
            pending.remove((due, name))
            final = chance.choice(["Delivered", "Failed"])
            latency = (due - int(name.partition("-")[0]) * HOUR) / 1000
            label = f"{int(name.partition('-')[2]) % 3}"
            callbacks.append(
                sms_callback(final, at(due), message_id=f"m{name}", sms_id=name, label=label, latency=latency)
            )
        partition.rows = partition.rows.reloaded()
        before = partition.rows.written
        partition.send(*callbacks, received=now)
        for key in [key for key in before.keys() - partition.rows.written.keys() if key.startswith(b"d:")]:
            closed[place_named(key[2:].decode())] = orjson.loads(before[key])
    found = {cell: flat(row) for cell, row in (closed | partition.cells).items()}
    expected = counted(partition.last.values())
    differing = sum(
        sum(abs(counts[word] - found.get(cell, Counter())[word]) for word in ("parts Delivered", "parts Failed"))
        for cell, counts in expected.items()
    )
    assert differing == partition.notes.get("closed-cell", 0) > 0
    windows = {window for window, _ in partition.cells}
    still_open = {cell: counts for cell, counts in found.items() if cell[0] in windows}
    expected = {cell: counts for cell, counts in expected.items() if cell[0] in windows}
    for dimension in (None, *range(len(DIMENSIONS))):
        assert summed(still_open, dimension) == summed(expected, dimension)
    assert not closed.keys() & partition.cells.keys()
    assert len(partition.cells) < 80 * 4
