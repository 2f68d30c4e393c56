"""
An hour of a console that is looked at: its memory, and that of a browser's page, stay as they are.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.console.console_process import Stage
from tests.console.test_console import WAIT, newer
from tests.console.viewing import viewers
from tests.console.world import World

_MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "60"))
_VIEWERS: Final = 30
_STATES_PER_SECOND: Final = 20
_WARM_SHARE: Final = 0.25
_MB_PER_HOUR: Final = 8.0
"""So much a line through the memory may rise. A leak of one event for each viewer would be much steeper."""


@pytest.mark.full
@pytest.mark.timeout(_MINUTES * 60 + 600)
def test_an_hour_of_live_numbers_takes_no_more_memory(page: Page, stage: Stage, shown: World) -> None:
    address, process = stage.console()
    page.goto(address)
    expect(page.locator(".live")).to_contain_text("Live", timeout=WAIT)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def heap_mb() -> float:
        session.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return float(found["JSHeapUsedSize"]) / 1e6

    taken: list[tuple[float, float, float]] = []
    began = time.monotonic()
    with viewers(address, _VIEWERS):
        revision = 10_000_000
        for second in _seconds(began + _MINUTES * 60):
            states = []
            for number in range(_STATES_PER_SECOND):
                revision += 1
                state = shown.running[number % len(shown.running)]
                states.append(newer(state, {"Delivered": revision % 1000, "Sent": number}, revision))
            stage.produce("campaign.progress", states)
            if second % 20 == 0:
                page.wait_for_timeout(1)  # the driver takes the page's events in
                taken.append((time.monotonic() - began, resident_mb(process.pid), heap_mb()))
    expect(page.locator(".live")).to_contain_text("Live", timeout=WAIT)
    warm = [one for one in taken if one[0] > _MINUTES * 60 * _WARM_SHARE]
    slopes = [slope_per_hour([(one[0], one[place]) for one in warm]) for place in (1, 2)]
    told = (
        f"MB an hour: console {slopes[0]:+.2f}, page {slopes[1]:+.2f}; "
        f"at the end {warm[-1][1]:.0f} and {warm[-1][2]:.1f} MB"
    )
    print(told)  # noqa: T201 - figures are for people: pytest -s
    assert max(slopes) < _MB_PER_HOUR * max(1.0, 60 / _MINUTES), told


def _seconds(end: float) -> Iterator[int]:
    """Yield each second until the end, when it comes."""
    begun = time.monotonic()
    for second in range(1 << 20):
        time.sleep(max(0.0, begun + second - time.monotonic()))
        if time.monotonic() > end:
            return
        yield second


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def slope_per_hour(points: list[tuple[float, float]]) -> float:
    """Return the rise of the line that fits best, of values by second."""
    count = len(points)
    middle_x, middle_y = (sum(one[place] for one in points) / count for place in (0, 1))
    across = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return across / sum((x - middle_x) ** 2 for x, _ in points) * 3600
