"""
A copy of the product in which SMS callbacks have one field more: `costCenter`, `cost_center` in our words.

The edits are those of CONTRIBUTING.md, in its order.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.markdown import ROOT

_TREES: Final = ("ingest", "streams", "sinks", "console", "sandbox", "tests")
_DOCUMENTS_COMMAND: Final = ("-m", "streams.contract.documents")
_DOCUMENTS: Final = ("streams/contract/asyncapi.yaml", "streams/contract/openapi.yaml", "streams/contract/schemas/")
_FIELD: Final = '    cost_center: str | None = Field(default=None, description="the cost centre that pays")\n'

_EDITS: Final = {
    "streams/domain/routee/wire.py": [
        (r"(    duration: _Absent = UNSET\n)", r"\1    costCenter: _Text | None = None\n"),
    ],
    "streams/domain/details.py": [
        (r"\Z", "    cost_center: str | None = None\n"),
    ],
    "streams/domain/routee/sms.py": [
        (r"(        price,\n)(?=    \))", r"\1        sms.costCenter or None,\n"),
        (r"(        price=coercion\.price\(.*\n)", r'\1        cost_center=text("costCenter"),\n'),
    ],
    "streams/contract/records.py": [
        (r"(class SmsStatus.*?\n)(\n\nclass CampaignProgress)", rf"\1{_FIELD}\2"),
    ],
    "streams/domain/sms_record.py": [
        (r"(class SmsRecord.*?    source: str\n)", r"\1    cost_center: str | None\n"),
        (r"(        _SOURCES\[.* else _CALLBACK,\n)", r"\1        details.cost_center,\n"),
    ],
}

_SQL: Final = """
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS cost_center Nullable(String);

ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS cost_center LowCardinality(Nullable(String));

ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS cost_center LowCardinality(Nullable(String));

CREATE OR REPLACE VIEW sms {{on_cluster}}
AS SELECT * EXCEPT (is_superseded) FROM sms_status FINAL WHERE NOT is_superseded
COMMENT 'A row per SMS part: its latest state';

CREATE OR REPLACE VIEW sms_history {{on_cluster}}
AS SELECT * EXCEPT (life) FROM sms_status_history FINAL
COMMENT 'A row per change of an SMS part';
"""


def places() -> list[str]:
    """Return the places that CONTRIBUTING.md names for a new field, in its order."""
    (listed,) = re.findall(
        r"## One field more\n(.*?)\n\nThe columns", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    return re.findall(r"^\d\. `([^`]+)`", listed, re.MULTILINE)


def copy_with_one_field_more(folder: Path) -> list[str]:
    """Copy the product to a folder, make the edits, and return the files that they changed, in order."""
    for tree in _TREES:
        shutil.copytree(ROOT / tree, folder / tree, ignore=shutil.ignore_patterns("__pycache__"))
    for name, edits in _EDITS.items():
        _edit(folder / name, edits)
    run(folder, *_DOCUMENTS_COMMAND)
    migrations = folder / "sinks" / "clickhouse" / "schema"
    newest = max(int(file.name[:4]) for file in migrations.glob("*.sql"))
    (migrations / f"{newest + 1:04d}_cost_center.sql").write_text(_SQL)
    changed = {_place(str(file.relative_to(folder))) for file in folder.rglob("*") if _is_changed(file, folder)}
    order = places()
    return sorted(changed, key=lambda name: next((at for at, place in enumerate(order) if name.startswith(place)), -1))


def _place(name: str) -> str:
    """Return a file, and for each of the documents that one command writes the first of them."""
    return _DOCUMENTS[0] if name.startswith(_DOCUMENTS) else name


def _edit(file: Path, edits: list[tuple[str, str]]) -> None:
    text = file.read_text()
    for pattern, replacement in edits:
        text, count = re.subn(pattern, replacement, text, count=1, flags=re.DOTALL if ".*?" in pattern else 0)
        assert count == 1, f"{file}: no place for the field by {pattern}"
    file.write_text(text)


def _is_changed(file: Path, folder: Path) -> bool:
    if not file.is_file() or "__pycache__" in file.parts:
        return False
    original = ROOT / file.relative_to(folder)
    return not original.exists() or original.read_bytes() != file.read_bytes()


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """Run Python with the copy's code; return what it printed. AssertionError with what it said when it fails."""
    result = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=own_environment(folder, **environment),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def own_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment in which Python finds the copy's modules first."""
    return {**os.environ, "PYTHONPATH": str(folder), **more}
