"""
Debian's chromium, and one stage for all tests of the console in a browser.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from tests.console.console_process import Stage
from tests.console.world import World, world

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def shown() -> World:
    return world()


@pytest.fixture(scope="session")
def stage(
    kafka: KafkaCluster, clickhouse: ClickHouseServer, shown: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Give Kafka and ClickHouse with the world in them."""
    made = Stage(kafka, clickhouse, f"t{token_hex(4)}.", f"test_{token_hex(4)}", tmp_path_factory.mktemp("console"))
    made.prepare(shown)
    yield made
    made.end()


@pytest.fixture(scope="session")
def address(stage: Stage) -> str:
    """Give the address of a console that shows the world."""
    return stage.console()[0]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Give a browser. Its driver has a loop of events in this thread, so it ends with these tests."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium: apt install chromium")
    with sync_playwright() as driver:
        # Its own sandbox needs rights that root in a container does not have.
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give an empty page, as wide as a desk has it."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, color_scheme="light")
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    yield opened
    context.close()


AXE = Path(__file__).parent / "axe" / "axe.min.js"
