"""
The queries that the README gives for files: the newest state of each SMS and message, by the numbers of the records.
"""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest

from sinks.files.sink import FileSink
from sinks.source import Record, TopicPartition
from streams.contract.codec import format_time_ms
from streams.domain.policy import Policy
from streams.domain.views import message_key, message_view
from tests.builders import sms_callback
from tests.support.markdown import ROOT
from tests.unit.streams.domain.pipeline import Pipeline

TOPIC = "routee.sms.status"
HOUR_MS = 3_600_000


def at(hours: int) -> str:
    return format_time_ms(1_795_349_000_000 + hours * HOUR_MS)


@pytest.fixture(scope="module")
def told() -> Pipeline:
    """Give messages of one to three parts, some of which begin anew after they were forgotten."""
    pipeline, chance = Pipeline(Policy(retention_hours=48)), random.Random(5)  # noqa: S311 - the same every time
    for hours, messages in ((0, range(12)), (60, range(4, 20))):
        bodies = [
            sms_callback(word, at(hours), message_id=f"m{number}", sms_id=f"s{number}-{part}", part=part, parts=parts)
            for number in messages
            for parts in (number % 3 + 1,)
            for part in range(1, parts + 1)
            for word in ("Queued", "Sent", ("Delivered", "Failed")[(number + part + hours) % 2])
        ]
        chance.shuffle(bodies)
        pipeline.send(sms_callback("Queued", at(hours), message_id="clock", sms_id="clock"), received_at=at(hours))
        for body in bodies:
            pipeline.send(body, received_at=at(hours))
    return pipeline


@pytest.fixture(scope="module")
def query(told: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[dict[str, Any]]]:
    """Give a query of the README by its number, over files with all records in any order, and one of 0.1.0."""
    root, topic = tmp_path_factory.mktemp("files"), TopicPartition(TOPIC, 0)
    sink = FileSink(root, "parquet", "routee.")
    sink.claim([topic])
    records = [*told.revisions, *told.revisions[::3]]
    random.Random(6).shuffle(records)  # noqa: S311
    half = len(records) // 2
    for begin, some in ((0, records[:half]), (half, records[half:])):
        sink.write("sms_status", [Record(TOPIC, 0, begin + n, 0, orjson.dumps(one)) for n, one in enumerate(some)])
    sink.release([topic])
    _write_as_0_1_0(next(root.rglob("*.parquet")), {"message_id": "m0", "sms_key": "s0-1", "revision": 900})
    text = re.search(r"in DuckDB:\n\n(.*?)\n\n\*\*", (ROOT / "sinks" / "README.md").read_text(), re.DOTALL)
    assert text

    def rows(number: int) -> list[dict[str, Any]]:
        sql = text[1].split(";")[number].replace("data/files", str(root))
        answer = duckdb.connect().execute(sql)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    return rows


def _write_as_0_1_0(like: Path, values: dict[str, Any]) -> None:
    """Write a file with one row that lacks the columns of later versions."""
    table = pyarrow.parquet.read_table(like, partitioning=None).slice(0, 1)
    table = table.select(
        [name for name in table.column_names if name != "generation" and name[:8] != "message_"] + ["message_id"]
    )
    for name, value in values.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array([value], table.schema.field(name).type))
    pyarrow.parquet.write_table(table, like.with_name("9-0-0.parquet"))


def test_the_newest_state_of_every_sms(told: Pipeline, query: Callable[[int], list[dict[str, Any]]]) -> None:
    found = {row["sms_key"]: (row["status"], row["revision"], row["generation"]) for row in query(0)}
    newest: dict[str, tuple[Any, ...]] = {}
    for record in told.revisions:  # on the topic the newest is the last
        newest[record["sms_key"]] = (record["status"], record["revision"], record["generation"])
    assert found == newest
    assert len({generation for _, _, generation in newest.values()}) > 20


def test_the_newest_state_of_every_message(told: Pipeline, query: Callable[[int], list[dict[str, Any]]]) -> None:
    found = {row["message_id"]: row for row in query(1)}
    assert len(found) == 21
    for message, row in found.items():
        view = message_view(told.sms_rows[0], message_key(message))
        if view is None:
            assert message in {"m0", "m1", "m2", "m3"}, "forgotten"
            continue
        for name in ("status", "is_final", "parts", "parts_seen", "latency_seconds"):
            assert row[f"message_{name}"] == view[name]
        assert f"{row['message_price']:.8f}" == view["price"]
