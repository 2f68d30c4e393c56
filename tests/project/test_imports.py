"""
The allowed imports, and that importing does nothing.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.markdown import ROOT

PROGRAMS = ("ingest", "streams", "sinks", "console", "sandbox")
PURE = (
    "ingest/causes.py",
    "ingest/http/admission.py",
    "ingest/callback",
    "ingest/backfill/tracking.py",
    "ingest/backfill/known.py",
    "ingest/redrive/fates.py",
    "streams/domain",
    "console/eta",
    "console/records.py",
    "console/safety/masking.py",
    "console/words",
    "sinks/batch.py",
    "sinks/rows.py",
    "sinks/errors.py",
    "sinks/source.py",
    "sandbox/emulator/traffic",
)
# Modules that would let a clock, a client, chance or the machine into a decision.
WORLD = {
    *("faust", "mode", "aiokafka", "kafka", "clickhouse_connect", "chdb", "requests", "httptools", "uvloop"),
    *("asyncio", "concurrent", "multiprocessing", "socket", "ssl", "http", "urllib", "subprocess", "threading"),
    *("os", "pathlib", "shutil", "signal", "sys", "tempfile", "time", "secrets", "logging"),
}
# Of our own packages a pure module may use other pure ones, and these of the contract.
PURE_CONTRACT = {
    f"streams.contract.{name}"
    for name in (
        "answers",
        "codec",
        "dates",
        "erasures",
        "headers",
        "keys",
        "personal",
        "records",
        "refused",
        "remembered",
        "topics",
        "visible",
    )
}

BREACHES = {
    "ingest, sinks, console and sandbox are independent programs": ("ingest/settings.py", "import sandbox.errors"),
    "the other programs import of streams contract and program only": (
        "sinks/rows.py",
        "import streams.domain",
    ),
    "the contract rests on the standard library, pydantic and orjson": ("streams/contract/keys.py", "import kafka"),
    "the pure core touches no clock, socket, client or log": ("streams/domain/__init__.py", "import time"),
    "the emulator's traffic and what it expects depend on nothing but their arguments": (
        "sandbox/audit/differences.py",
        "import time",
    ),
    "ingest rests on itself from the server down to the causes": (
        "ingest/kafka/produce_request.py",
        "import ingest.commit.log",
    ),
    "HTTP of ingest rests on itself from the connection down to the rules": (
        "ingest/http/connections.py",
        "import ingest.http.known_heads",
    ),
    "the commit of ingest rests on itself from the publisher down to the balance": (
        "ingest/commit/log.py",
        "import ingest.commit.departures",
    ),
    "Kafka of ingest rests on itself from the log down to the bytes": (
        "ingest/kafka/produce_request.py",
        "import ingest.kafka.private_names",
    ),
    "the backfill: command, rounds, lists and topics, client, rules": (
        "ingest/backfill/known.py",
        "import ingest.backfill.rounds",
    ),
    "the redrive: command, what it reads and writes, rules": (
        "ingest/redrive/fates.py",
        "import ingest.redrive.topics",
    ),
    "the callback of ingest is examined apart from how it is stored": (
        "ingest/callback/body.py",
        "import ingest.callback.envelope",
    ),
    "streams is layered: command, runtime, state, domain, contract": (
        "streams/domain/stage.py",
        "import streams.state.turns",
    ),
    "the read API: routes, the lists and the other workers": (
        "streams/read_api/peers.py",
        "import streams.read_api.routes",
    ),
    "state is layered: succession, checkpoint, changelog, store": (
        "streams/state/store/stores.py",
        "import streams.state.checkpoint",
    ),
    "the state and the rules do not know Faust": ("streams/state/turns.py", "import mode"),
    "console: pages over their sources, these over the rules": (
        "console/live/picture.py",
        "import console.pages.site",
    ),
    "no circles": ("streams/domain/statuses.py", "import streams.domain.sms_stage"),
    "sinks: the loop and the writer know their ports only": (
        "sinks/worker.py",
        "import sinks.kafka.source",
    ),
    "sinks.kafka: the source, the topics, the client, the mends, the private names": (
        "sinks/kafka/membership.py",
        "import sinks.kafka.source",
    ),
    "sinks.clickhouse: sink and migrations, the client, the codes": (
        "sinks/clickhouse/migrate.py",
        "import sinks.clickhouse.sink",
    ),
    "sinks.files: the sink and its topic, the proof, the formats, the columns": (
        "sinks/files/layout.py",
        "import sinks.files.locks",
    ),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for program in PROGRAMS:
        shutil.copytree(ROOT / program, folder / program, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_import_rules_hold(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout


def test_every_import_rule_is_tried() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {rule["name"] for rule in rules} == set(BREACHES)


@pytest.mark.parametrize("rule", BREACHES)
def test_each_import_rule_notices_a_breach(copy: Path, rule: str) -> None:
    name, line = BREACHES[rule]
    file = copy / name
    before = file.read_text()
    file.write_text(f"{before}\n{line}\n")
    result = lint(copy)
    file.write_text(before)
    assert result.returncode == 1
    assert re.search(rf"^{re.escape(rule)} ?BROKEN$", result.stdout, re.MULTILINE)


def modules(*places: str) -> list[Path]:
    paths = [ROOT / place for place in places]
    assert all(path.exists() for path in paths)
    return [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", modules(*PURE), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_pure_module_knows_no_clock_no_chance_and_no_machine(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert not {name.split(".")[0] for name in imported(tree) - {"urllib.parse"}} & WORLD  # it only reads texts
    whole = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    assert "random" not in whole, "chance is handed in, as a Random"
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert not methods & {"now", "utcnow", "today", "uuid4", "uuid1"}


@pytest.mark.parametrize("file", modules(*PURE), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_pure_module_rests_on_pure_ones(file: Path) -> None:
    pure = {str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in modules(*PURE)} | PURE_CONTRACT
    pure |= {name.removesuffix(".__init__") for name in pure}
    ours = {name for name in imported(ast.parse(file.read_text())) if name.split(".")[0] in PROGRAMS}
    assert ours <= pure


def import_everything(folder: Path, *packages: str) -> str:
    """Return every deed besides importing, a line each."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.import_everything", *packages]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_any_module_does_nothing() -> None:
    """No environment is read, no thread, process or connection begun."""
    assert import_everything(ROOT, *PROGRAMS) == ""


@pytest.mark.parametrize(
    ("line", "deed"),
    [
        ("import os; os.environ.get('INGEST_PORT')", "reads INGEST_PORT"),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
            "starts a thread",
        ),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
    ],
)
def test_a_module_that_acts_on_import_is_noticed(copy: Path, line: str, deed: str) -> None:
    shutil.copytree(ROOT / "tests" / "support", copy / "tests" / "support", dirs_exist_ok=True)
    (copy / "tests" / "__init__.py").touch()
    file = copy / "streams" / "contract" / "keys.py"
    before = file.read_text()
    file.write_text(f"{before}\n{line}\n")
    said = import_everything(copy, "streams.contract")
    file.write_text(before)
    assert said.startswith(f"streams/contract/keys.py: {deed}")
