"""
One field more, in the places that CONTRIBUTING.md names: through to files and tables, on the rows that are there.
"""

from pathlib import Path

import orjson
import pytest

from sandbox.clickhouse.process import ClickHouseServer
from tests.support.one_field_more import copy_with_one_field_more, places, run

MOST_PLACES = 7

THROUGH = """
import sys
from pathlib import Path
import orjson, pyarrow.parquet as pq
from sinks.cli import run_schema
from sinks.clickhouse.client import connect
from sinks.clickhouse.sink import ClickHouseSink
from sinks.files.sink import FileSink
from sinks.settings import SinksSettings
from sinks.source import Record, TopicPartition
from streams.domain.policy import Policy
from streams.domain.routee.wire import read_wire
from streams.domain.sms_stage import SmsStage
from streams.program.settings import load_settings
from tests.builders import envelope, sms_callback
from tests.support.golden.stored import golden_sets
from tests.support.memory_rows import MemoryRows, outputs_of

stage, found = SmsStage(Policy()), []
quick = sms_callback(message_id="long-as-usual", sms_id="new-and-long", costCenter="CC-7")
patient = sms_callback(message_id="odd", sms_id="odd", costCenter="CC-8", part="1")
assert read_wire(orjson.dumps(quick)).costCenter == "CC-7" and read_wire(orjson.dumps(patient)) is None
rows = MemoryRows()
for offset, body in enumerate((quick, patient)):
    found += [one for one in outputs_of(stage.apply(rows, 0, offset, envelope(body))) if one.key]

golden = golden_sets()[0]
old = 0
for number, rows in golden.memory("sms").items():
    for key in [key for key in rows.written if key.startswith(b"m:")]:
        message = key[2:].decode()
        later = sms_callback("Failed", "2027-01-01T00:00:00Z", message_id=message, sms_id="later", costCenter="CC-9")
        told = outputs_of(stage.apply(rows, number, 10_000 + old, envelope(later, received_at="2027-01-01T00:00:00Z")))
        assert [one.topic.suffix for one in told if b'"bug"' in one.value] == [], told
        old += 1
assert old > 20

topic = "routee.sms.status"
records = [Record(topic, 0, at, 0, one.value) for at, one in enumerate(found)]
files = FileSink(Path(sys.argv[1]), "parquet", "routee.")
files.claim([TopicPartition(topic, 0)])
files.write("sms_status", records)
(file,) = Path(sys.argv[1]).rglob("*.parquet")
assert pq.read_table(file).column("cost_center").to_pylist() == ["CC-7", "CC-8"]

settings = load_settings(SinksSettings)
run_schema(settings)
clickhouse = connect(settings)
ClickHouseSink(clickhouse).write("sms_status", records)
for view in ("sms", "sms_history"):
    got = clickhouse.rows(f"SELECT sms_key, cost_center FROM {view} ORDER BY sms_key")
    assert [tuple(row) for row in got] == [("new-and-long", "CC-7"), ("odd", "CC-8")], (view, got)
clickhouse.close()
print(orjson.dumps({"old rows": old}).decode())
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("copy")
    return folder, copy_with_one_field_more(folder)


def test_one_field_more_touches_the_places_that_are_named_in_their_order(copy: tuple[Path, list[str]]) -> None:
    _, touched = copy
    named = places()
    assert len(named) <= MOST_PLACES
    assert len(touched) == len(named)
    assert [name for name, place in zip(touched, named, strict=True) if not name.startswith(place)] == []


@pytest.mark.clickhouse
def test_one_field_more_comes_through_to_files_and_tables_and_old_rows_still_work(
    copy: tuple[Path, list[str]], clickhouse: ClickHouseServer, database: str, tmp_path: Path
) -> None:
    folder, _ = copy
    environment = {
        "CLICKHOUSE_URL": clickhouse.url,
        "CLICKHOUSE_PASSWORD": clickhouse.password,
        "CLICKHOUSE_DATABASE": database,
    }
    printed = run(folder, "-c", THROUGH, str(tmp_path), **environment)
    assert orjson.loads(printed.splitlines()[-1])["old rows"] > 20
