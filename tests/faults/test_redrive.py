"""
Kills of a redrive: in the end each refused callback went back once, and nothing is counted twice.
"""

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.kafka import KafkaCluster
from tests.integration.ingest.refused_callbacks import RefusedCallbacks
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]


class Load(NamedTuple):
    """The callbacks of a redrive, and how often it is killed."""

    callbacks: int
    kills: int
    rate: int
    """Callbacks a second."""


async def until_redriven(at: RefusedCallbacks, number: int) -> None:
    """Return when so many callbacks were redriven."""

    def has_stored() -> bool:
        return at.redriven_numbers().total() >= number

    await asyncio.to_thread(eventually, has_stored, 200)


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(Load(300, 2, 10), id="300"),
        pytest.param(Load(10_000, 20, 200), id="10,000", marks=[pytest.mark.full, pytest.mark.timeout(1_800)]),
    ],
)
async def test_a_redrive_that_is_killed_goes_on_and_counts_nothing_twice(
    tmp_path: Path, kafka: KafkaCluster, topic_prefix: str, load: Load
) -> None:
    """Each kill comes in the middle of the envelopes, long before the last of them is due."""
    callbacks, kills, rate = load
    at = RefusedCallbacks(kafka.bootstrap_servers, topic_prefix)
    at.refuse(callbacks)

    for _ in range(kills):
        before = at.redriven_numbers().total()
        process = await at.start(tmp_path, "--rate", str(rate))
        try:
            await until_redriven(at, before + rate)
            assert process.returncode is None, (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    killed = at.redriven_numbers().total()
    assert 0 < killed < callbacks
    assert f"redriven: {callbacks - killed}" in await at.redrive(tmp_path, "--rate", "100000")
    assert at.redriven_numbers() == dict.fromkeys(range(callbacks), 1)
    progress = at.counted()
    assert (progress["messages"], progress["parts"], progress["messages_final"]) == (callbacks,) * 3
    assert "redriven: 0" in await at.redrive(tmp_path)
