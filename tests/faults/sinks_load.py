"""
Records for the sinks under load, seeded: changes of SMS and of campaigns, produced by a thread while sinks come and go.
"""

import random
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Self

import orjson

from sandbox.audit.clickhouse import ClickHouse
from sinks.settings import SinksSettings
from streams.contract.codec import encode
from streams.contract.records import Record
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import at, campaign, sms
from tests.integration.sinks.conftest import PARTITIONS

_STATUSES: Final = ("Queued", "Sent", "Delivered")
_AT_ONCE: Final = 100
_CAMPAIGNS: Final = 7
# A map cannot be null in ClickHouse.
_MAPS: Final[dict[str, object]] = {"reported_by_status": {}}


class Load:
    """As a context manager it produces at most `records` records of SMS at `per_second`, while the block runs."""

    def __init__(self, topics: Topics, records: int, per_second: float, seed: int = 5) -> None:
        self._topics = topics
        self._changes = islice(_changes(random.Random(seed)), records)  # noqa: S311 - the same load in every run
        self._pause = _AT_ONCE / per_second
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Return when every record in flight is acknowledged; no more are sent."""
        self._over.set()
        self._thread.join()

    def finish(self) -> None:
        """Return when everything is produced and acknowledged."""
        self._thread.join()

    def _produce(self) -> None:
        revision = 0
        while values := list(islice(self._changes, _AT_ONCE)):
            began, revision = time.monotonic(), revision + 1
            self._topics.produce("sms.status", values)
            name = f"campaign-{revision % _CAMPAIGNS}"
            record = campaign(name, revision=revision, messages=revision, last_received_at=at(revision))
            self._topics.produce("campaign.progress", [(revision % _CAMPAIGNS % PARTITIONS, encode(record))])
            if self._over.wait(max(0.0, self._pause - (time.monotonic() - began))):
                return


def _changes(chance: random.Random) -> Iterator[tuple[int, bytes]]:
    """Yield changes of SMS with their partitions: up to three per SMS, the changes of many SMS mixed."""
    under_way: list[tuple[int, int]] = []
    number = 0
    while True:
        if len(under_way) < 50:
            under_way.append((number, 0))
            number += 1
        sms_number, stage = under_way.pop(chance.randrange(len(under_way)))
        if stage + 1 < len(_STATUSES):
            under_way.append((sms_number, stage + 1))
        yield sms_number % PARTITIONS, encode(_sms(sms_number, stage, chance))


def _sms(number: int, stage: int, chance: random.Random) -> Record:
    return sms(
        f"sms-{number:06d}",
        status=_STATUSES[stage],
        is_final=stage == 2,
        revision=stage + 1,
        # By the SMS, so that all its revisions have the same.
        first_received_at=at(number / 10),
        received_at=at(number / 10 + stage),
        price=Decimal(chance.randrange(1_000)) / 1_000,
        operator=chance.choice(("Cosmote", "Vodafone", None)),
        # A text that hardly compresses: tests fill disks with it.
        message=chance.randbytes(100).hex(),
        offset=chance.randrange(1 << 40),
    )


def latest(topics: Topics, suffix: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the topic's record of the highest revision for each key."""
    found: dict[str, dict[str, Any]] = {}
    for value in topics.everything(suffix).values():
        record = orjson.loads(value or b"")
        if record["revision"] >= found.get(record[key], record)["revision"]:
            found[record[key]] = record
    return found


class Database:
    """The tables' rows in the form of the topics' records."""

    def __init__(self, settings: SinksSettings) -> None:
        password = settings.clickhouse_password.get_secret_value()
        self._database = ClickHouse(
            settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_database, password
        )

    def count(self, table: str) -> int:
        """Return how many rows a table or view has."""
        return int(self._database.text(f"SELECT count() FROM {table} FORMAT TSV"))  # noqa: S608 - names of ours

    def rows(self, view: str, key: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a view by key."""
        rows = list(self._database.rows(f"SELECT * FROM {view}"))  # noqa: S608 - names of ours
        found = {row[key]: row for row in rows}
        assert len(found) == len(rows), "a key is there twice"
        return found


def equal(record: dict[str, Any], row: dict[str, Any]) -> bool:
    """Return whether a row equals its record, cell by cell."""
    return all(_same(record[name] or _MAPS.get(name, record[name]), row[name]) for name in record)


def _same(expected: object, found: object) -> bool:
    if isinstance(expected, str) and isinstance(found, str) and expected.replace(".", "").isdigit():
        return Decimal(expected) == Decimal(found)
    return expected == found


def expect_latest(topics: Topics, database: Database) -> None:
    """Assert that the views `sms` and `campaigns` equal the topics' latest records in every cell."""
    for suffix, view, key in (
        ("sms.status", "sms", "sms_key"),
        ("campaign.progress", "campaigns", "campaign_tracking_id"),
    ):
        wanted, rows = latest(topics, suffix, key), database.rows(view, key)
        assert wanted.keys() == rows.keys()
        assert [name for name, record in wanted.items() if not equal(record, rows[name])] == []
