"""
How long an erasure of many numbers takes, from the command until no store shows them any more.

`python -m tests.bench.erasures --help`. One in two SMS is in the state of streams, with its callback on
`callbacks.raw`; the others were forgotten there, and are in the sinks' stores alone. A worker and both sinks run with
Kafka and ClickHouse on all cores. The numbers are spread over SMS that the state has, SMS that it has not, and both.
Other rows and all counts are compared before and after. In the end the files are looked through once more, by one
process alone, for as many other numbers: that is the speed of one pass.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import orjson

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.errors import StartError
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from sandbox.process import Process
from sinks.clickhouse.client import ClickHouse, connect
from sinks.erasing import Erasing
from sinks.erasure import People
from sinks.files.erasure import FileErasure
from sinks.files.personal_rows import FileRows
from sinks.files.proof import files_of
from sinks.settings import SinksSettings
from sinks.source import TopicPartition
from sinks.tables import REJECTED_CALLBACKS_TABLE, SMS_STATUS_TABLE
from streams.contract.codec import encode, format_time
from streams.contract.erasures import Erasure, Marks, normal_form
from streams.contract.keys import partition_of
from streams.contract.topics import SMS_STATUS
from tests.behaviour.sinks.records import sms
from tests.bench import callbacks, measuring
from tests.bench.measuring import say
from tests.bench.workers import DEADLINE_SECONDS

SINKS: Final = ("clickhouse", "files")
_PREFIX: Final = "routee."
_PARTITIONS: Final = callbacks.PARTITIONS
_KEY: Final = "0123456789abcdef" * 4
_LIMIT_SECONDS: Final = 60.0
_PER_ENVELOPE: Final = 50
_REFUSED_EVERY: Final = 100
_LOOK_SECONDS: Final = 0.25
_FORGOTTEN: Final = timedelta(days=40)
_ROWS_OF: Final = {
    table: f"SELECT count() FROM {table} WHERE recipient IN %(numbers)s"  # noqa: S608 - our own names
    for table in ("sms_status", "sms_status_history", "message_status", "sms", "sms_history", "messages")
} | {"rejections": r"""SELECT count() FROM rejections WHERE extract(body, '"to":"([^"]*)"') IN %(numbers)s"""}
"""The questions of people, and every table behind them → how many rows of the erased numbers it shows."""
_OTHERS: Final = """
SELECT groupBitXor(cityHash64(toString(tuple(*)))), count() FROM {table}
WHERE recipient IS NOT NULL AND recipient NOT IN %(numbers)s
"""
_COUNTS: Final = (
    "SELECT status, count(), sum(price), sum(latency_seconds) FROM sms GROUP BY status ORDER BY status",
    "SELECT campaign_tracking_id, messages, toString(messages_by_status), price_total FROM campaigns ORDER BY 1",
    "SELECT country, operator, sum(sms), sum(delivered) FROM delivery_by_operator GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT reason, count() FROM rejections GROUP BY reason ORDER BY reason",
)
_TEXT: Final = "Dear customer, the autumn sale starts tomorrow at nine in all our shops. Text STOP to hear no more."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print the figures; 1 when a store took too long, or when anything else changed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.erasures", description=__doc__)
    parser.add_argument("--sms", type=int, default=1_000_000)
    parser.add_argument("--numbers", type=int, default=1_000, help="numbers that are erased together")
    parser.add_argument("--format", choices=["parquet", "ndjson"], default="parquet", help="of the files")
    parser.add_argument("--verify", action="store_true", help="let `erase --verify` decode every store in the end")
    parser.add_argument("--folder", type=Path, help="where everything is kept; none: a temporary one")
    given = parser.parse_args(arguments)
    kept = given.folder and nullcontext(given.folder)
    with kept or tempfile.TemporaryDirectory(prefix="routee-bench-") as folder:
        with measuring.stores(Path(folder)) as (kafka, clickhouse), ExitStack() as programs:
            bench = Bench(Path(folder), kafka, clickhouse, Load(given.sms, given.numbers), given.format)
            bench.prepare(programs)
            seconds = bench.erase()
            bench.tell_files()
            is_same = bench.is_same()
            if given.verify:
                bench.verify()
        for store, took in seconds.items():
            say(f"{store:24} {took:6.1f} s until nothing of the numbers is left")
        say(f"everything else {'is as it was' if is_same else 'CHANGED'}")
        return 0 if is_same and max(seconds.values()) <= _LIMIT_SECONDS else 1


@dataclass(frozen=True)
class Load:
    """The SMS, and the numbers that are erased."""

    sms: int
    numbers: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def half(self) -> int:
        """Return how many SMS the state has, and how many it has not."""
        return self.sms // 2

    def erased(self, shift: int = 0) -> list[str]:
        """Return the numbers to erase; with a shift, as many others."""
        people = self.half + self.half // 2
        return [number_of((place * people // self.numbers + shift) % people) for place in range(self.numbers)]

    def taken_in(self) -> Iterator[callbacks.Body]:
        """Yield the one callback of each SMS that the state has, and a callback that is refused now and then."""
        place = "00000000-0000-4000-8000-0123456789ab"
        at = format_time(self.now - timedelta(seconds=5))
        templates = [
            callbacks.body(place, campaign, "Delivered", at)
            .replace(b"%", b"%%")
            .replace(place[::-1].encode(), b"%b")
            .replace(place.encode(), b"%b")
            for campaign in range(callbacks.CAMPAIGNS)
        ]
        to = orjson.loads(templates[0] % (b"", b""))["to"].encode()
        templates = [one.replace(to, b"%b") for one in templates]
        order = sorted(
            (templates[0].index(word), name) for word, name in ((b'"messageId"', 0), (b'"smsId"', 1), (b'"to"', 2))
        )
        for person in range(self.half):
            message = self.key(person)
            fields = (message.encode(), message.encode(), number_of(person).encode())
            partition = partition_of(message, _PARTITIONS)
            yield partition, templates[person % len(templates)] % tuple(fields[name] for _, name in order)
            if person % _REFUSED_EVERY == 0:
                yield partition, b'{"messageId":5,"to":"%b","status":{"name":"Sent"}}' % fields[2]

    def forgotten(self) -> Iterator[callbacks.Record]:
        """Yield the record of each SMS that the state has forgotten."""
        key, number = "00000000-0000-4000-8000-0123456789ab", "+306912345678"
        at = self.now - _FORGOTTEN
        record = sms(
            key,
            message_id=key,
            sms_id=key,
            campaign_tracking_id=callbacks.tracking_id(callbacks.CAMPAIGNS),
            campaign_name="Summer sale",
            label="order",
            recipient=number,
            status="Delivered",
            is_final=True,
            message=_TEXT,
            **dict.fromkeys(("status_updated_at", "queued_at", "final_at", "first_received_at", "received_at"), at),
            message_status="Delivered",
            message_is_final=True,
            message_parts=1,
            message_parts_seen=1,
            message_revision=1,
        )
        template = encode(record).replace(b"%", b"%%").replace(key.encode(), b"%b").replace(number.encode(), b"%b")
        for person in range(self.half // 2, self.half // 2 + self.half):
            name = f"f{self.key(person)[1:]}".encode()
            yield person % _PARTITIONS, name, template % (name, name, name, number_of(person).encode())

    def in_state(self, number: str) -> str | None:
        """Return the key of the number's SMS that the state has, None when it has none."""
        person = int(number[-9:])
        return self.key(person) if person < self.half else None

    @staticmethod
    def key(person: int) -> str:
        """Return the key of an SMS; they are spread as random identifiers are."""
        return f"{person * 2_654_435_761 % (1 << 28):08x}-0000-4000-8000-{person:012d}"


def number_of(person: int) -> str:
    """Return the number of a person."""
    return f"+306{person:09d}"


class Bench:
    """The programs, their stores, and looks at these."""

    def __init__(
        self, folder: Path, kafka: KafkaCluster, clickhouse: ClickHouseServer, load: Load, file_format: str
    ) -> None:
        self._folder = folder
        self._load = load
        self._numbers = load.erased()
        self._port = free_port(together=2)
        self._root = folder / "files"
        self._servers = kafka.bootstrap_servers
        self._environment: Mapping[str, str] = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_PARTITIONS": str(_PARTITIONS),
            "CLICKHOUSE_URL": clickhouse.url,
            "SINKS_FILES_ROOT": str(self._root),
            "SINKS_FILES_FORMAT": file_format,
            "STREAMS_DATA_DIR": str(folder / "state"),
            "STREAMS_WEB_PORT": str(self._port),
            "STREAMS_ADMIN_PORT": str(self._port + 1),
            "ERASURE_KEY": _KEY,
        }
        settings = SinksSettings(clickhouse_url=clickhouse.url)
        self._connect: Callable[[], ClickHouse] = lambda: connect(settings)
        self._before: list[Any] = []
        self._programs = (
            self._program("routee-streams", "worker"),
            *(self._program("routee-sinks", sink, SINKS_ADMIN_PORT=str(free_port())) for sink in SINKS),
        )

    def prepare(self, programs: ExitStack) -> None:
        """Fill the topics, start the programs, and return when every SMS is in every store."""
        began = time.monotonic()
        for name, command in (("routee-streams", "topics"), ("routee-sinks", "schema")):
            self._run(name, command)
        callbacks.fill_single(self._servers, SMS_STATUS.name(_PREFIX), self._load.forgotten())
        raw = callbacks.fill(self._servers, _PREFIX, self._load.taken_in(), _PER_ENVELOPE)
        for process in self._programs:
            process.start()
            programs.callback(process.stop, 30)
        clickhouse = self._connect()
        refused = raw - self._load.half
        self._until(
            lambda: (
                clickhouse.value("SELECT count() FROM sms_status_history") >= 2 * self._load.half
                and clickhouse.value("SELECT sum(messages) FROM campaigns") >= self._load.half
                and clickhouse.value("SELECT sum(sms) FROM delivery_by_operator") >= self._load.half
                and clickhouse.value("SELECT count() FROM rejections") >= refused
                and self._rows_of_files(SMS_STATUS_TABLE) >= 2 * self._load.half
                and self._rows_of_files(REJECTED_CALLBACKS_TABLE) >= refused
            )
        )
        self._before = self._everything_else(clickhouse)
        shown = {name: clickhouse.value(sql, {"numbers": tuple(self._numbers)}) for name, sql in _ROWS_OF.items()}
        say(f"{2 * self._load.half:,} SMS and {refused:,} refused callbacks in {time.monotonic() - began:.0f} s")
        say(f"{len(self._numbers):,} numbers have so many rows: {shown}, in the state {len(self._keys())}")

    def _keys(self) -> list[str]:
        return [key for number in self._numbers if (key := self._load.in_state(number)) is not None]

    def erase(self) -> dict[str, float]:
        """Run the command; return the seconds from its start until each store has nothing of the numbers."""
        file = self._folder / "numbers"
        file.write_text("\n".join(self._numbers))
        began, wall = time.monotonic(), time.time()
        self._run("routee-streams", "erase", "--from-file", str(file))
        done = {"the command": time.monotonic() - began}
        looks: dict[str, Callable[[], Iterator[bool]]] = {
            "HTTP": self._looks_at_http,
            **{f"ClickHouse {name}": partial(self._looks_at_table, sql) for name, sql in _ROWS_OF.items()},
            "files": partial(self._looks_at_files, wall),
        }

        def wait_for(name: str) -> None:
            for is_done in looks[name]():
                if is_done:
                    break
                time.sleep(_LOOK_SECONDS)
            done[name] = time.monotonic() - began

        # Threads: a store that answers slowly is not to hold up the look at another.
        for name in looks:
            threading.Thread(target=wait_for, args=(name,), daemon=True).start()
        self._until(lambda: done.keys() >= looks.keys())
        return dict(sorted(done.items(), key=itemgetter(1)))

    def _until(self, is_done: Callable[[], bool]) -> None:
        """Return when it is; a program that has ended is started again, as a supervisor does. StartError when late."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_done():
            for process in self._programs:
                if not process.is_running:
                    say(f"{process.log.stem} is started again: {process.last_words()}")
                    process.start()
            if time.monotonic() > deadline:
                raise StartError(f"not done after {DEADLINE_SECONDS:.0f} s")
            time.sleep(_LOOK_SECONDS)

    def _looks_at_http(self) -> Iterator[bool]:
        left = self._keys()
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            while left:
                try:
                    connection.request("GET", f"/sms/{left[-1]}")
                    answer = connection.getresponse()
                    found = orjson.loads(answer.read())
                except (HTTPException, OSError):  # a worker that is being started again
                    connection.close()
                    yield False
                    continue
                if answer.status == HTTPStatus.OK and found["recipient"] is None:
                    left.pop()
                else:
                    yield False
        yield True

    def _looks_at_table(self, sql: str) -> Iterator[bool]:
        with closing(self._connect()) as clickhouse:
            while True:
                yield clickhouse.value(sql, {"numbers": tuple(self._numbers)}) == 0

    def _looks_at_files(self, since: float) -> Iterator[bool]:
        notes = [
            self._root / table / f".erasures-{number}.json"
            for table in (SMS_STATUS_TABLE, REJECTED_CALLBACKS_TABLE)
            for number in range(_PARTITIONS)
        ]
        while True:
            yield all(note.exists() and note.stat().st_mtime >= since for note in notes)

    def _rows_of_files(self, table: str) -> int:
        names = (file.name.partition(".")[0].split("-") for file in files_of(self._root / table))
        return sum(int(last) - int(first) + 1 for _, first, last in names)

    def tell_files(self) -> None:
        """Look through the files alone, and say how fast that is; they must have nothing of the numbers."""
        people = People(frozenset(form for one in self._numbers if (form := normal_form(one))))
        left = sum(1 for _ in FileRows(self._root, [SMS_STATUS_TABLE]).of(people.has, people.in_row))
        say(f"rows of the numbers in files: {left}")
        files = files_of(self._root / SMS_STATUS_TABLE)
        size = sum(file.stat().st_size for file in files) / 1e6
        marks, erasing = Marks(_KEY.encode()), Erasing(Marks(_KEY.encode()))
        erasing.add(
            Erasure(mark=mark, at=datetime.now(UTC), key_id=marks.key_id)
            for one in self._load.erased(shift=1)
            if (mark := marks.of(one)) is not None
        )
        topic = SMS_STATUS.name(_PREFIX)
        partitions = [TopicPartition(topic, number) for number in range(_PARTITIONS)]
        store = FileErasure(
            self._root, {topic: SMS_STATUS_TABLE}, lambda: partitions, lambda _: nullcontext(enter_result=True)
        )
        began, cpu = time.monotonic(), time.process_time()
        rows = store.erase(erasing.known)
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        records = self._rows_of_files(SMS_STATUS_TABLE)
        say(
            f"one pass over {len(files)} files of {size:.0f} MB with {records:,} records: {rows:,} rows erased in "
            f"{seconds:.1f} s, {cpu:.1f} s of processor time: {size / cpu:.0f} MB/s, {records / cpu:,.0f} records/s"
        )

    def is_same(self) -> bool:
        """Return whether all counts, and all rows of other numbers, are as they were before the erasure."""
        after = self._everything_else(self._connect())
        for before, now in zip(self._before, after, strict=True):
            if before != now:
                say(f"before: {str(before)[:500]}\nafter:  {str(now)[:500]}")
        return after == self._before

    def _everything_else(self, clickhouse: ClickHouse) -> list[Any]:
        numbers = {"numbers": tuple(self._numbers)}
        tables = ("sms_status", "sms_status_history", "message_status")
        others = [clickhouse.rows(_OTHERS.format(table=f"{table} FINAL"), numbers) for table in tables]
        return [*others, *(clickhouse.rows(sql) for sql in _COUNTS)]

    def verify(self) -> None:
        """Let the command decode every store, and show what it says."""
        began = time.monotonic()
        log = self._run("routee-streams", "erase", "--verify", "--from-file", str(self._folder / "numbers"))
        say(f"{log.read_text().strip()}\nerase --verify took {time.monotonic() - began:.0f} s")

    def _run(self, name: str, *arguments: str) -> Path:
        process = self._program(name, *arguments)
        process.start()
        process.require_success(DEADLINE_SECONDS)
        return process.log

    def _program(self, name: str, *arguments: str, **environment: str) -> Process:
        path = str(Path(sys.executable).with_name(name))
        log = self._folder / f"{name}-{'-'.join(one for one in arguments if '/' not in one)}.log"
        return Process(name, (path, *arguments), log, {**self._environment, **environment})


if __name__ == "__main__":
    sys.exit(main())
