"""Erasures at any moment, through crashes and disorder: covered data go, nothing else changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.codec import format_time_ms
from streams.contract.erasures import MOMENTS, AnotherKeyError, Erasure, Erasures, Marks, moment_of
from streams.contract.topics import DELIVERY_PARTIALS
from streams.domain import sms_stage
from streams.domain.cells import CELL_PREFIX, place_named
from streams.domain.counts import COUNTS_PREFIX
from streams.domain.erasing import KnownErasures
from streams.domain.message import MESSAGE_PREFIX, message_key, read_message
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output
from streams.domain.views import find_sms, message_view
from streams.state.rows import walk
from streams.state.rows.erasures import Progress
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.position import Position
from streams.state.rows.reserved_keys import ERASED
from streams.state.rows.throttle import Throttle
from tests.builders import ABSENT, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.test_deliveries import counted, flat, told
from tests.unit.streams.domain.test_delivery_stage import Merged

KEY: Final = bytes(range(32))
MARKS: Final = Marks(KEY)
BEGIN_MS: Final = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp() * 1000)
MINUTE: Final = 60_000
NUMBERS: Final = ("+306900000001", "+306900000002", "+306900000003")
SPELLINGS: Final = {NUMBERS[0]: ["+306900000001", "00306900000001", "30 690 000 0001"]}
BLANK: Final = ("recipient", "message", "label")
# Of a revision: one that would only have added erased data is not made.
OF_REVISION: Final = {
    *("generation", "received_at", "partition", "offset", "index", "revision", "previous_status"),
    *("sending_at", "sent_from"),
}


def erasure(number: str, at_ms: int) -> Erasure:
    mark = MARKS.of(number)
    assert mark is not None
    return Erasure(mark=mark, at=moment_of(at_ms), key_id=MARKS.key_id)


def erasures_of(some: list[Erasure]) -> Erasures:
    known = Erasures(MARKS)
    for one in some:
        known.add(one)
    return known


class Worker:
    """One partition with its changelog and topics in memory; it may crash between any two steps."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.durable: dict[bytes, bytes] = {}
        self.raw: list[bytes] = []
        self.erasures: list[Erasure] = []
        self.written: list[dict[str, Any]] = []
        self.told: list[bytes | None] = []
        """Of each of these records which erasures hold in it, as its headers say."""
        self.rejected: list[dict[str, Any]] = []
        self.lines: list[bytes] = []
        """About cells, those of crashed flushes, too."""
        self.pieces: Iterator[int] | None = None
        self.crash()

    def crash(self) -> None:
        """Lose all that is not durable, and start again."""
        self.known = KnownErasures(MARKS)
        for offset, one in enumerate(self.erasures):
            self.known.add(offset, one)
        self.pieces = None
        self.partition = Partition(
            0,
            SmsStage(self.policy),
            self.durable.get,
            Throttle(0.0),
            Origin("topic-id", 0, len(self.written), len(self.raw)),
            erasing=self.known,
        )

    def erase(self, one: Erasure) -> None:
        self.known.add(len(self.erasures), one)
        self.erasures.append(one)

    def hold(self, *, crashes: bool = False) -> None:
        if self.partition.is_behind:
            plan = self.partition.planned()
            self.durable[ERASED] = plan.written()
            if crashes:
                self.crash()
            else:
                self.partition.begin_erasing(plan)

    def take_piece(self) -> bool:
        """Take in the next piece of the source; return whether there was one."""
        self.hold()
        if self.pieces is None:
            offset = self.partition.next
            if offset >= len(self.raw):
                return False
            self.pieces = self.partition.take_in(offset, self.raw[offset])
        if next(self.pieces, None) is None:
            self.pieces = None
            return self.take_piece()
        return True

    def walk(self) -> None:
        self.hold()
        if self.partition.is_walking:
            self.partition.erase_slice(self.scan)

    def scan(self, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, row) for key, row in self.durable.items() if key.startswith(prefix) and key > after))

    def flush(self, *, crashes: bool = False) -> None:
        if not self.partition.needs_flush(0.0):
            return
        checkpoint = self.partition.seal(0.0)
        self.note(checkpoint.outputs)
        if crashes:
            self.crash()
            return
        for key, row in checkpoint.rows.items():
            if row is None:
                self.durable.pop(key, None)
            else:
                self.durable[key] = row

    def note(self, outputs: list[Output]) -> None:
        for output in outputs:
            if output.topic.suffix == "sms.status":
                self.written.append(orjson.loads(output.value))
                self.told.append(output.erasures)
            elif output.topic.suffix == "callbacks.rejected":
                self.rejected.append(orjson.loads(output.value))
            elif output.topic is DELIVERY_PARTIALS:
                self.lines.append(output.value)

    def finish(self) -> None:
        while self.take_piece():
            self.flush()
        self.flush()
        while self.partition.is_walking or self.partition.is_behind:
            self.walk()
            self.flush()

    @property
    def newest(self) -> dict[str, dict[str, Any]]:
        ordered = sorted(self.written, key=lambda record: (record["generation"], record["revision"]))
        return {record["sms_key"]: record for record in ordered}

    def rows(self, prefix: bytes) -> dict[bytes, Any]:
        return {key: orjson.loads(row) for key, row in self.durable.items() if key.startswith(prefix)}


def callback(chance: Random, message: int | None = None) -> dict[str, Any]:
    """Return a callback of one of a few messages, each with a number of its own."""
    number = chance.randrange(4) if message is None else message
    part = chance.randint(1, 2)
    recipient = NUMBERS[number % len(NUMBERS)]
    return sms_callback(
        chance.choice(["Queued", "Sent", "Delivered", "Failed"]),
        chance.choice([ABSENT, format_time_ms(BEGIN_MS + chance.randint(-60, 60) * MINUTE)]),
        message_id=f"m-{number}",
        sms_id=chance.choice([f"s-{number}-{part}", ABSENT]),
        part=part,
        parts=2,
        to=chance.choice([recipient, *SPELLINGS.get(recipient, []), ABSENT]),
        label=chance.choice([f"label {number}", ABSENT]),
        message=chance.choice([f"text {number}", f"text {number} b", ABSENT]),
        originatingService=chance.choice(["Sms", "TwoStep", ABSENT]),
    )


def steps(chance: Random) -> Iterator[tuple[Any, ...]]:
    """Yield up to forty steps of the outside and of a worker."""
    for _ in range(chance.randint(5, 40)):
        match chance.choice(["send", "send", "erase", "worker", "worker", "worker"]):
            case "send":
                yield "send", [callback(chance) for _ in range(chance.randint(1, 4))], chance.randint(0, 90)
            case "erase":
                yield "erase", chance.choice(NUMBERS), chance.randint(-90, 90)
            case _:
                yield (chance.choice(["take", "take", "walk", "hold", "hold-crash", "flush", "flush-crash", "crash"]),)


def run(plan: list[Any], worker: Worker, *, with_erasures: bool = True) -> Worker:
    for name, *given_ in plan:
        match name:
            case "send":
                worker.raw.append(envelope(*given_[0], received_at=format_time_ms(BEGIN_MS + given_[1] * MINUTE)))
            case "erase" if with_erasures:
                worker.erase(erasure(given_[0], BEGIN_MS + given_[1] * MINUTE))
            case "take":
                worker.take_piece()
            case "walk":
                worker.walk()
            case "hold" | "hold-crash":
                worker.hold(crashes=name == "hold-crash")
            case "flush" | "flush-crash":
                worker.flush(crashes=name == "flush-crash")
            case "crash":
                worker.crash()
    worker.finish()
    return worker


def covered(worker: Worker, record: dict[str, Any]) -> bool:
    """Tell whether any erasure covers an SMS of a run without erasures: by its newest record."""
    names = ("first_received_at", "queued_at", "sent_at", "final_at", "status_updated_at")
    moments = [record[name] for name in names]
    return any(
        MARKS.of(record["recipient"] or "") == one.mark and any(m and m < format_time_ms(ms(one)) for m in moments)
        for one in worker.erasures
    )


def states(worker: Worker) -> dict[str, Any]:
    """Return everything that decides about statuses, counts and costs, by SMS."""
    messages = [read_message(row)[0] for key, row in worker.durable.items() if key.startswith(MESSAGE_PREFIX)]
    return {
        sms.key: (one.status, sms.status, sms.date, sms.since, sms.queued, sms.sent, sms.finals, sms.details.price)
        for one in messages
        for sms in one.parts
    }


def ms(one: Erasure) -> int:
    return round(one.at.timestamp() * 1000)


# A seed, because drawing forty steps takes far longer than taking them.
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_covered_data_goes_for_good_and_nothing_else_changes(seed: int) -> None:
    plan = [*steps(Random(seed))]  # noqa: S311 - traffic
    worker, without = run(plan, Worker()), run(plan, Worker(), with_erasures=False)
    contents: dict[tuple[str, int, int], dict[str, Any]] = {}
    for record in worker.written:
        of = (record["sms_key"], record["generation"], record["revision"])
        assert contents.setdefault(of, record) == record
    assert worker.newest.keys() == without.newest.keys()
    for key, record in worker.newest.items():
        plain = without.newest[key]
        same = {name for name in record if name not in {*OF_REVISION, *BLANK} and not name.startswith("message_")}
        assert {name: record[name] for name in same} == {name: plain[name] for name in same}
        if covered(worker, plain):
            assert {record[name] for name in BLANK} == {None}
        elif not any(MARKS.of(NUMBERS[int(plain["message_id"][2:]) % 3]) == one.mark for one in worker.erasures):
            assert {**record, "generation": 0} == {**plain, "generation": 0}, "not even a revision more"
    assert worker.rows(COUNTS_PREFIX) == without.rows(COUNTS_PREFIX)
    assert states(worker) == states(without)
    assert not worker.partition.is_behind
    assert not worker.partition.is_walking


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_record_says_which_erasures_hold_in_it_and_has_nothing_that_these_cover(seed: int) -> None:
    """So a sink that knows these, and no others, need not look at it."""
    worker = run([*steps(Random(seed))], Worker())  # noqa: S311 - traffic
    sets = [erasures_of(worker.erasures[:count]) for count in range(len(worker.erasures) + 1)]
    views: dict[bytes | None, Erasures] = {None: sets[0]}
    views.update((one.digest, one) for one in sets[1:])
    for record, digest in zip(worker.written, worker.told, strict=True):
        moments = [datetime.fromisoformat(record[name]) for name in MOMENTS if record[name]]
        assert not views[digest].covers(record["recipient"], *moments)
    worker.raw.append(envelope(sms_callback(message_id="last", sms_id="last")))
    worker.finish()
    assert worker.told[-1] == (sets[-1].digest if worker.erasures else None)


@pytest.mark.parametrize("microsecond", [0, 1, 400, 999, 1_000])
def test_an_erasure_between_two_milliseconds_covers_the_first_for_streams_and_sinks(microsecond: int) -> None:
    known = KnownErasures(MARKS)
    one = erasure(NUMBERS[0], BEGIN_MS)
    one = one.model_copy(update={"at": one.at + timedelta(microseconds=microsecond)})
    known.add(0, one)
    view, whole = known.all, erasures_of([one])
    assert view is not None
    for ms_ in (BEGIN_MS - 1, BEGIN_MS, BEGIN_MS + 1):
        assert (ms_ < view.at(NUMBERS[0])) is whole.covers(NUMBERS[0], moment_of(ms_)) is (ms_ < view.latest)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_the_sums_of_the_cells_are_those_of_the_sms_as_they_are_after_erasures(seed: int) -> None:
    """In the rows, and where the lines of all flushes of these rows are merged, of crashed ones, too."""
    worker, merged = run([*steps(Random(seed))], Worker()), Merged()  # noqa: S311 - traffic
    expected = counted(worker.newest.values())
    found = {place_named(key[2:].decode()): flat(row) for key, row in worker.rows(CELL_PREFIX).items()}
    assert {cell: counts for cell, counts in found.items() if counts} == expected
    # A crash before the first checkpoint lets the rows begin anew, perhaps with other labels.
    generations = [orjson.loads(line)["generation"] for line in worker.lines]
    for line, generation in zip(worker.lines, generations, strict=True):
        if generation == max(generations):
            merged.take(line)
    assert told(merged.told.values()) == expected


@pytest.mark.parametrize("seed", range(10))
def test_later_callbacks_of_an_erased_sms_are_blank(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - traffic
    worker = Worker()
    first = [sms_callback(message_id=f"m-{n}", sms_id=f"s-{n}-1", to=NUMBERS[n % 3]) for n in range(4)]
    worker.raw.append(envelope(*first, received_at=format_time_ms(BEGIN_MS)))
    worker.take_piece()
    for number in NUMBERS:
        worker.erase(erasure(number, BEGIN_MS + 100 * MINUTE))
    worker.finish()
    before = len(worker.written)
    late = format_time_ms(BEGIN_MS + 90 * MINUTE)
    worker.raw += [envelope(callback(chance), received_at=late) for _ in range(8)]
    worker.finish()
    seen = {f"s-{n}-1" for n in range(4)}
    assert all(
        record[name] is None for record in worker.written[before:] if record["sms_key"] in seen for name in BLANK
    )
    assert not any(number.encode() in row for number in NUMBERS for row in worker.durable.values() if b"s-" not in row)


def sent(worker: Worker, body: Any, minute: int) -> None:  # noqa: ANN401 - refused bodies, too
    worker.raw.append(envelope(body, received_at=format_time_ms(BEGIN_MS + minute * MINUTE)))
    worker.finish()


def test_a_later_sms_of_the_number_is_not_touched() -> None:
    worker = Worker()
    sent(worker, sms_callback("Sent", format_time_ms(BEGIN_MS)), 0)
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + 10 * MINUTE))
    sent(worker, sms_callback("Sent", format_time_ms(BEGIN_MS + 20 * MINUTE), message_id="m-2", sms_id="s-2"), 20)
    sent(worker, sms_callback("Delivered", format_time_ms(BEGIN_MS + 21 * MINUTE)), 21)
    late = worker.newest["s-2"]
    assert (late["recipient"], late["message"], late["label"]) == (NUMBERS[0], "Hello", "spring")
    (erased_one,) = [record for key, record in worker.newest.items() if key != "s-2"]
    assert [erased_one[name] for name in BLANK] == [None, None, None]
    assert (erased_one["status"], erased_one["revision"], erased_one["price"]) == ("Delivered", 3, "0.04320000")


def test_an_erasure_is_a_revision_with_everything_else_as_it_was() -> None:
    worker = Worker()
    sent(worker, sms_callback("Delivered"), 0)
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + MINUTE))
    worker.finish()
    before, after = worker.written
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {*BLANK, "revision", "message_revision", "previous_status", "message_previous_status"}
    assert (after["revision"], after["previous_status"]) == (2, "Delivered")
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + 2 * MINUTE))
    worker.finish()
    assert len(worker.written) == 2, "there was nothing left to erase"


@pytest.mark.parametrize("recipient", ["mask", "drop", "hmac"])
def test_callbacks_of_a_withheld_number_come_out_blank(recipient: Any) -> None:  # noqa: ANN401
    worker = Worker(Policy(recipient=recipient, hmac_key="k" * 32))
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + MINUTE))
    sent(worker, sms_callback("Sent"), 0)
    sent(worker, sms_callback("Delivered", to=ABSENT), 5)
    assert {record[name] for record in worker.written for name in BLANK} == {None}


@pytest.mark.parametrize(("minute", "date"), [(0, ABSENT), (20, format_time_ms(BEGIN_MS - 500 * 60 * MINUTE))])
def test_a_refused_body_of_an_erased_recipient_is_lost(minute: int, date: Any) -> None:  # noqa: ANN401
    worker = Worker()
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + 10 * MINUTE))
    sent(worker, sms_callback("Sent", message_id="other", to=NUMBERS[1]), 0)
    sent(
        worker,
        sms_callback(message_id=5) | {"status": {"name": "Sent", "updatedDate": date if date is not ABSENT else None}},
        minute,
    )
    sent(worker, sms_callback(message_id=5, to=NUMBERS[1]), minute)
    lost, kept = worker.rejected
    assert (lost["body"], lost["body_base64"], lost["reason"], lost["offset"]) == ("", None, "invalid-field", 1)
    assert NUMBERS[1] in kept["body"]


def shown(worker: Worker, *erased: Any) -> list[Any]:  # noqa: ANN401 - as the views take it
    """Return what HTTP tells of the SMS of message `m`: by its own key, and as a part of the message."""
    rows = worker.partition.rows
    of_message = (message_view(rows, message_key("m"), *erased) or {})["sms"][0]
    return [[one[name] for name in (*BLANK, "revision")] for one in (find_sms(rows, "s", *erased) or {}, of_message)]


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_no_answer_has_a_number_once_its_erasure_is_known_wherever_the_rows_stand(is_taken_over: bool) -> None:  # noqa: FBT001
    """Before a walk has met the row, and while a partition takes in what a former owner may have taken in."""
    worker = Worker()
    for word in ("Sent", "Delivered"):
        worker.raw.append(
            envelope(sms_callback(word, message_id="m", sms_id="s"), received_at=format_time_ms(BEGIN_MS))
        )
    worker.take_piece()
    worker.flush()
    if is_taken_over:
        worker.crash()
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + MINUTE))
    assert worker.partition.is_behind is not is_taken_over
    assert shown(worker) == [[NUMBERS[0], "Hello", "spring", 1]] * 2
    assert shown(worker, worker.known.all) == [[None, None, None, 1]] * 2
    worker.finish()
    assert shown(worker) == shown(worker, worker.known.all)
    assert shown(worker)[0][:3] == [None, None, None]
    worker.known = KnownErasures(MARKS)
    assert worker.known.all is None


def test_a_walk_meets_every_row_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "SLICE_ROWS", 2)
    worker = Worker()
    many = [sms_callback(message_id=f"m-{n}", sms_id=f"s-{n}", to=NUMBERS[n % 2]) for n in range(20)]
    worker.raw.append(envelope(*many[:12]))
    worker.take_piece()
    worker.flush()
    worker.raw.append(envelope(*many[12:]))
    worker.take_piece()
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + MINUTE))
    for _ in range(3):
        worker.walk()
    worker.erase(erasure(NUMBERS[1], BEGIN_MS + MINUTE))
    worker.finish()
    assert {record["recipient"] for record in worker.newest.values()} == {None}


def test_a_walk_that_was_cut_off_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "SLICE_ROWS", 2)
    worker = Worker()
    worker.raw.append(envelope(*[sms_callback(message_id=f"m-{n}", sms_id=f"s-{n}") for n in range(9)]))
    worker.take_piece()
    worker.flush()
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + MINUTE))
    worker.walk()
    worker.flush()
    worker.walk()
    worker.crash()
    assert worker.partition.is_walking
    worker.finish()
    assert {record["recipient"] for record in worker.newest.values()} == {None}


def test_a_view_beyond_what_was_read_has_what_comes_later() -> None:
    known = KnownErasures(MARKS)
    known.add(0, erasure(NUMBERS[1], BEGIN_MS))
    for end in (2, 9):
        early = known.before(end)
        assert early is not None
        assert (bool(early.at(NUMBERS[1])), early.at(NUMBERS[0])) == (True, 0)
    known.add(1, erasure(NUMBERS[0], BEGIN_MS))
    for view in (known.before(2), known.before(9), known.all):
        assert view is not None
        assert view.at(NUMBERS[0]) == BEGIN_MS
    first = known.before(1)
    assert first is not None
    assert first.at(NUMBERS[0]) == 0


def taken_over_ahead(*, walks: bool, begins_later: bool = False) -> Worker:
    """Return a worker whose reader is behind that of the former owner, which died with a second erasure in force."""
    worker = Worker()
    for count in range(2):
        many = [sms_callback(message_id=f"m-{n}", sms_id=f"s-{n}", to=NUMBERS[n]) for n in range(2)]
        received = format_time_ms(BEGIN_MS + count)
        worker.raw.append(envelope(*many, received_at=received))
    worker.erase(erasure(NUMBERS[1], BEGIN_MS + MINUTE))
    worker.take_piece()
    worker.flush()
    worker.erase(erasure(NUMBERS[0], BEGIN_MS + MINUTE))
    worker.hold(crashes=not walks)
    if walks:
        worker.walk()
        worker.take_piece()
        worker.flush()
    if begins_later:
        plan = Progress.parse(worker.durable[ERASED])
        worker.durable[ERASED] = Progress(1).with_plan(plan.needed, Position(2)).written()
    late = worker.erasures.pop()
    worker.crash()
    worker.erasures.append(late)
    return worker


@pytest.mark.parametrize(("walks", "begins_later"), [(False, False), (True, False), (False, True)])
def test_an_owner_behind_the_former_one_waits_for_the_erasures_that_hold(*, walks: bool, begins_later: bool) -> None:
    worker = taken_over_ahead(walks=walks, begins_later=begins_later)
    partition, was_walking = worker.partition, worker.partition.is_walking
    assert was_walking is not begins_later
    assert worker.known.is_current
    assert partition.lacks_erasures
    assert not partition.knows_erasures
    assert not partition.is_behind, "no plan goes back"
    for _ in range(3):
        partition.erase_slice(worker.scan)
    told = len(worker.written)
    worker.flush()
    assert (partition.is_walking, len(worker.written)) == (was_walking, told)
    assert Progress.parse(worker.durable[ERASED]).needed == 2
    worker.known.confirmations += 1
    assert not partition.knows_erasures, "Kafka may have been asked before the takeover"
    worker.known.add(1, worker.erasures[1])
    assert worker.partition.knows_erasures
    worker.finish()
    assert {record["recipient"] for record in worker.newest.values()} == {None}
    assert {read_message(row)[0].parts[0].details.recipient for row in messages(worker)} == {None}
    assert worker.told[-1] == erasures_of(worker.erasures).digest


def messages(worker: Worker) -> list[bytes]:
    return [row for key, row in worker.durable.items() if key.startswith(MESSAGE_PREFIX)]


def test_a_topic_of_erasures_that_was_made_anew_stops_no_partition() -> None:
    """It has fewer than hold in the rows: Kafka says after the takeover that these are all."""
    worker = taken_over_ahead(walks=True)
    worker.known.confirmations += 2
    assert worker.partition.knows_erasures
    assert worker.partition.is_behind
    worker.finish()
    assert Progress.parse(worker.durable[ERASED]) == Progress(1)
    worker.raw.append(envelope(sms_callback(message_id="last", sms_id="last")))
    worker.finish()
    assert worker.told[-1] == erasures_of(worker.erasures[:1]).digest


@pytest.mark.parametrize(
    "progress", [Progress(), Progress(7), Progress(7, is_walking=True, planned=9, begin=Position(3, 2))]
)
def test_progress_is_read_as_it_was_written(progress: Progress) -> None:
    assert Progress.parse(progress.written()) == progress


def test_an_erasure_of_another_key_is_refused() -> None:
    known = KnownErasures(Marks(bytes(32)))
    with pytest.raises(AnotherKeyError):
        known.add(0, erasure(NUMBERS[0], BEGIN_MS))
    with pytest.raises(AnotherKeyError):
        KnownErasures().add(0, erasure(NUMBERS[0], BEGIN_MS))


def outputs_with(records: list[bytes], erasures: list[tuple[int, Erasure]]) -> list[Output]:
    """Return the outputs of records, the erasures of which hold from the given record on, without a walk."""
    stage, rows, known = SmsStage(Policy()), MemoryRows(), KnownErasures(MARKS)
    outputs = []
    for offset, record in enumerate(records):
        for number, (begin, one) in enumerate(erasures):
            if begin == offset:
                known.add(number, one)
        rows.erased = known.before(known.end)
        outputs += outputs_of(stage.apply(rows, 0, offset, record))
    return outputs


@pytest.mark.parametrize("seed", range(30))
def test_looking_at_moments_first_leaves_out_no_covered_callback(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = Random(seed)  # noqa: S311 - a seeded test
    records = []
    for number in range(60):
        # Mostly in order, each dated before or after its receipt.
        received = BEGIN_MS + (number + chance.randrange(-3, 4)) * MINUTE
        date = received + chance.choice((-20, -1, 1, 20, 60)) * MINUTE
        body = sms_callback(
            chance.choice(("Queued", "Sent", "Delivered", "Failed")),
            chance.choice((format_time_ms(date), ABSENT)),
            message_id=f"m{chance.randrange(8)}",
            sms_id=f"s{chance.randrange(2)}",
            to=chance.choice((*NUMBERS, ABSENT)),
        )
        records.append(envelope(body, received_at=format_time_ms(received)))
    begins = sorted(chance.randrange(60) for _ in range(4))
    erasures = [
        (begin, erasure(chance.choice(NUMBERS), BEGIN_MS + (begin + chance.randrange(-20, 20)) * MINUTE))
        for begin in begins
    ]
    quick = outputs_with(records, erasures)
    monkeypatch.setattr(sms_stage, "may_be_covered", lambda *_: True)
    assert quick == outputs_with(records, erasures)


@settings(max_examples=200)
@given(
    made=st.lists(st.tuples(st.sampled_from(NUMBERS), st.integers(1, 5), st.integers(1, 3)), max_size=12),
    asked=st.lists(st.integers(0, 40), min_size=1, max_size=30),
)
def test_the_erasures_before_an_offset_are_the_same_whatever_was_asked_before(
    made: list[tuple[str, int, int]], asked: list[int]
) -> None:
    known, records, offset = KnownErasures(MARKS), [], -1
    for number, minute, gap in made:
        offset += gap
        records.append((offset, erasure(number, BEGIN_MS + minute * MINUTE)))
        known.add(*records[-1])
        for end in asked[: len(records)]:
            _require_view(known, records, end)
    for end in asked:
        _require_view(known, records, end)


def _require_view(known: KnownErasures, records: list[tuple[int, Erasure]], end: int) -> None:
    before = [one for offset, one in records if offset < end]
    view, true = known.before(end), erasures_of(before)
    assert (view is None) == (not before)
    if view is not None:
        assert (view.digest, view.latest) == (true.digest, int(max(one.at for one in before).timestamp() * 1000))
        assert all((view.at(number) > 0) == bool(true.erased_at(number)) for number in NUMBERS)
