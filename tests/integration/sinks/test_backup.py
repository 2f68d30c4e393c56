"""
A database comes back from a backup with its rows, comments and views, and takes the records that Kafka still has.
"""

import subprocess
import sys
from pathlib import Path

import orjson

from streams.contract.codec import encode
from tests.behaviour.sinks.records import cell, final, sms
from tests.support.markdown import ROOT

# The engine of the sandbox has no right to write backups, and one process has one engine.
_RUN = """
import sys
from pathlib import Path
import chdb, orjson
from sinks.clickhouse.migrations import known_migrations

folder = Path(sys.argv[1])
(folder / "users.xml").write_text(
    "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>"
    "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default></users></clickhouse>"
)
(folder / "engine.xml").write_text(
    f"<clickhouse><users_config>{folder}/users.xml</users_config>"
    f"<backups><allowed_path>{folder}/backups/</allowed_path></backups></clickhouse>"
)
engine = chdb.connect(f"{folder}/data?config-file={folder}/engine.xml")
run = lambda sql: bytes(engine.query(sql, "JSONCompactEachRow").bytes())
settings = "SETTINGS date_time_input_format='best_effort'"
insert = lambda inbox, rows: run(f"INSERT INTO {inbox} {settings} FORMAT JSONEachRow {rows}")
asked = ("SELECT * FROM sms ORDER BY ALL", "SELECT * FROM delivery_by_hour", "SELECT * FROM messages ORDER BY ALL",
    "SELECT table, name, comment FROM system.columns WHERE database = 'routee' ORDER BY ALL")
run("CREATE DATABASE routee")
run("USE routee")
for migration in known_migrations():
    for statement in migration.statements(None):
        run(statement)
run("ALTER TABLE delivery_by_hour COMMENT COLUMN sms 'parts'")
before, after = orjson.loads(sys.argv[2])
for inbox, rows in before:
    insert(inbox, rows)
kept = [run(sql) for sql in asked]
run(f"BACKUP DATABASE routee TO File('{folder}/backups/one/')")
run("USE default")
run("DROP DATABASE routee SYNC")
run(f"RESTORE DATABASE routee FROM File('{folder}/backups/one/')")
run("USE routee")
same = [run(sql) for sql in asked] == kept
for inbox, rows in [*before, *after]:
    insert(inbox, rows)
told = run("SELECT sms_key, status FROM sms ORDER BY sms_key"), run("SELECT sum(sms) FROM delivery_by_hour")
print(orjson.dumps([same, *(value.decode() for value in told)]).decode())
"""


def test_a_restored_database_has_its_rows_and_takes_older_and_newer_records(tmp_path: Path) -> None:
    """As after a restore with earlier offsets: the records of before come again, and newer ones after them."""
    before = [("sms_inbox", encode(sms("a"))), ("sms_inbox", encode(sms("b"))), ("delivery_inbox", encode(cell()))]
    after = [("sms_inbox", encode(final("b", "Delivered"))), ("delivery_inbox", encode(cell(revision=2, parts=12)))]
    told = orjson.dumps([[(inbox, row.decode()) for inbox, row in some] for some in (before, after)])
    found = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path), told.decode()],
        capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
    same, statuses, sent = orjson.loads(found.stdout.splitlines()[-1])
    assert same
    assert [orjson.loads(line) for line in statuses.splitlines()] == [["a", "Queued"], ["b", "Delivered"]]
    assert "12" in sent
