"""
Screenshots of each page, light, dark and on a phone, for the documents: `python -m tests.console.screenshots`.
"""

import tempfile
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import sync_playwright

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.console.conftest import CHROMIUM
from tests.console.console_process import Stage
from tests.console.test_console import PLACES, path_of
from tests.console.world import world
from tests.support.markdown import ROOT

FOLDER = ROOT / "docs" / "console"
_KINDS: Final[dict[str, tuple[int, Literal["light", "dark"]]]] = {
    "light": (1200, "light"),
    "dark": (1200, "dark"),
    "phone": (390, "light"),
}
_WARM_SECONDS = 2


def main() -> None:
    """Draw all of them."""
    if CHROMIUM is None:
        raise SystemExit("chromium is needed: apt install chromium")
    shown = world()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            KafkaCluster(folder / "kafka", free_port()) as kafka,
            ClickHouseServer(folder / "clickhouse", free_port(), password="screenshots") as clickhouse,  # noqa: S106 - of this run
        ):
            stage = Stage(kafka, clickhouse, "shots.", "shots", folder)
            stage.prepare(shown)
            address, _ = stage.console()
            FOLDER.mkdir(parents=True, exist_ok=True)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                for kind, (width, scheme) in _KINDS.items():
                    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                    for place in PLACES:
                        page.goto(address + path_of(place, shown), timeout=60_000)
                        page.wait_for_timeout(_WARM_SECONDS * 1000)
                        page.screenshot(path=FOLDER / f"{place}-{kind}.png", full_page=True)
                browser.close()
            stage.end()


if __name__ == "__main__":
    main()
