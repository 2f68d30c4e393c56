"""The README of streams and its guarantee agree with the code."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from prometheus_client import CollectorRegistry

import streams
from streams.errors import Exit
from streams.health import LagAges
from streams.metrics import FlushMetrics, StateMetrics, notices_metric
from streams.program.origin import Origin
from streams.read_api.routes import ReadApi
from streams.readers import Readers
from streams.settings import StreamsSettings
from streams.state.turns import Turns

if TYPE_CHECKING:
    from streams.app import StreamsApp

FOLDER = Path(streams.__file__).parent
README = (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_explained(code: Exit) -> None:
    assert f"| {int(code)} | `{code.name.lower().replace('_', '-')}` |" in README


@pytest.mark.parametrize("name", [name for name in StreamsSettings.model_fields if name.startswith("streams_")])
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name.upper()}`" in README


def test_the_readme_lists_exactly_the_served_metrics() -> None:
    registry = CollectorRegistry()
    FlushMetrics(registry)
    notices_metric(registry)
    idle = SimpleNamespace(
        checkpointed=(),
        sms=SimpleNamespace(checkpointer=SimpleNamespace(owned={})),
        campaigns=None,
        deliveries=None,
        alarms=SimpleNamespace(checkpointer=SimpleNamespace(owned={})),
        pulse=SimpleNamespace(check_pause=None),
        turns=Turns(),
        conf=SimpleNamespace(canonical_url="", topic_partitions=8),
        bulk_recovery=SimpleNamespace(restore_seconds=0.0, restored_records=0),
        standby=SimpleNamespace(at_hand=frozenset(), records=0),
    )
    registry.register(StateMetrics(cast("StreamsApp", idle), LagAges()))
    ReadApi(cast("StreamsApp", idle), Readers([], ""), registry, Origin())
    rows = re.findall(r"^\| (`routee_streams_.*?) \|", README, re.MULTILINE)
    listed = [name.removesuffix("_total") for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(family.name for family in registry.collect())


@pytest.mark.parametrize("document", ["README.md", "GUARANTEE.md"])
def test_every_file_that_it_names_exists(document: str) -> None:
    words = (FOLDER / document).read_text().split()
    named = {word.strip("`(),;") for word in words if word.strip("`(),;").endswith(".py") and "`" in word}
    missing = [name for name in named if not list(FOLDER.glob(name)) and not list(FOLDER.parent.glob(name))]
    assert named
    assert not missing


def test_the_guarantee_names_the_fault_tests_that_there_are() -> None:
    (listed,) = re.findall(r"`tests/faults/test_streams_\*\.py` .*?\((.*?)\)", (FOLDER / "GUARANTEE.md").read_text())
    there = [file.stem.removeprefix("test_streams_") for file in FOLDER.parent.glob("tests/faults/test_streams_*.py")]
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(there)
