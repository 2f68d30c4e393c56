"""
The console in a real browser, beside the real Kafka and the real ClickHouse engine.
"""

import re
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import AXE
from tests.console.console_process import Answering, Stage
from tests.console.world import NUMBER, PROGRAMS, World, time_text
from tests.support.wait import eventually

PLACES = ("campaigns", "campaign", "routes", "search", "message", "refused", "health")
WAIT = 60_000


def path_of(place: str, shown: World) -> str:
    found = {
        "campaigns": "/",
        "campaign": f"/campaigns/{shown.running[0]['campaign_tracking_id']}",
        "search": f"/search?q={quote(NUMBER, safe='')}",
        "message": f"/messages/{next(row['message_id'] for row in shown.sms if row['recipient'] == NUMBER)}",
    }
    return found.get(place, f"/{place}")


def violations(page: Page) -> list[str]:
    """Return the violations that axe finds, in one line each."""
    # Evaluated by the driver, so that the policy of the page stays as it is.
    page.evaluate(AXE.read_text() + ";true")
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]} ({len(one['nodes'])})" for one in found["violations"]]


@pytest.mark.parametrize("place", PLACES)
def test_each_page_is_for_all_light_dark_and_on_a_phone(page: Page, address: str, shown: World, place: str) -> None:
    told: list[str] = []
    asked: list[str] = []
    page.on("console", lambda line: told.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + path_of(place, shown))
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("footer")).to_contain_text("Europe/Athens")
    assert page.locator("text=This part is away").count() == 0
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(page) == []
    assert told == []
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(address).netloc}


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_is_one_long_word_widens_no_page(page: Page, address: str, shown: World, place: str) -> None:
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(address + path_of(place, shown))
    widths = page.evaluate("""() => {
        const names = document.querySelectorAll("h1 bdi, h3 bdi, .lead b, td bdi, th bdi, dd bdi")
        names.forEach(one => one.textContent = "W".repeat(300))
        const told = [...document.querySelectorAll("td bdi, tbody th bdi")].map(one => one.offsetWidth)
        return [document.documentElement.scrollWidth, ...told]
    }""")
    whole, *in_tables = widths
    assert whole == 1200
    assert max(in_tables, default=0) <= 22 * 16


def test_the_name_of_a_campaign_in_a_table_is_underlined_like_every_link(page: Page, address: str) -> None:
    page.goto(address)
    name = page.locator("#finished tbody a bdi").first
    assert name.evaluate("one => getComputedStyle(one).textDecorationLine") == "underline"


def test_a_new_state_is_on_the_page_within_seconds_without_a_reload(
    page: Page, stage: Stage, address: str, shown: World
) -> None:
    page.goto(address)
    state = shown.running[1]
    row = page.locator(f"[data-campaign='{state['campaign_tracking_id']}']")
    expect(row).to_be_visible()
    expect(page.locator(".live")).to_contain_text("Live")
    page.evaluate("window.untouched = true")
    counts = {**state["messages_by_status"], "Delivered": state["messages_by_status"].get("Delivered", 0) + 41}
    began = time.monotonic()
    stage.produce("campaign.progress", [newer(state, counts, 1_000_000)])
    expect(row.locator(".key [data-status=Delivered]")).to_have_text(f"{counts['Delivered']:,}", timeout=WAIT)
    assert time.monotonic() - began < 30  # an idle machine takes half a second
    assert page.evaluate("window.untouched") is True


def test_a_page_goes_on_when_the_console_was_killed(page: Page, stage: Stage, shown: World) -> None:
    address, process = stage.console()
    page.goto(address)
    state = shown.running[2]
    row = page.locator(f"[data-campaign='{state['campaign_tracking_id']}']")
    expect(page.locator(".live")).to_contain_text("Live")
    page.evaluate("window.untouched = true")
    process.kill()
    process.wait(20)
    counts = {"Delivered": 777, "Sent": 1}
    stage.produce("campaign.progress", [newer(state, counts, 2_000_000)])
    stage.console(port=urlsplit(address).port or 0)
    expect(row.locator(".key [data-status=Delivered]")).to_have_text("777", timeout=WAIT)
    assert page.evaluate("window.untouched") is True


def test_a_page_says_how_old_it_is_when_the_console_is_away(page: Page, stage: Stage) -> None:
    address, process = stage.console()
    page.goto(address)
    expect(page.locator(".live")).to_contain_text("Live")
    process.kill()
    expect(page.locator(".live[data-state=stale]")).to_contain_text("Last update", timeout=WAIT)


def test_without_clickhouse_live_numbers_go_on(page: Page, stage: Stage, shown: World) -> None:
    address, _ = stage.console(CLICKHOUSE_URL="http://127.0.0.1:9")
    page.goto(address)
    expect(page.locator(".banner.warn")).to_contain_text("ClickHouse does not answer")
    state = shown.running[0]
    row = page.locator(f"[data-campaign='{state['campaign_tracking_id']}']")
    stage.produce("campaign.progress", [newer(state, {"Delivered": 555, "Sent": 3}, 3_000_000)])
    expect(row.locator(".key [data-status=Delivered]")).to_have_text("555", timeout=WAIT)


def test_a_message_is_found_by_the_keyboard_alone(page: Page, address: str) -> None:
    page.goto(address)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator(".find input")).to_be_focused()
    page.keyboard.type(NUMBER)
    page.keyboard.press("Enter")
    expect(page.locator("h2").first).to_contain_text("message")
    assert NUMBER not in page.locator("main").inner_text()
    link = page.locator("tbody a").first
    for _ in range(40):
        if link.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("message to")
    expect(page.locator("table").nth(1)).to_contain_text("taken in")
    expect(page.locator("#callback pre")).to_contain_text("messageId")
    assert NUMBER not in page.locator("main").inner_text()


def test_a_page_that_is_read_again_keeps_what_a_person_chose_and_where_he_was(page: Page, address: str) -> None:
    """A choice of the filters before it is sent, the focus, and the place in a table that is wider than a phone."""
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(f"{address}/routes")
    page.locator("select[name=country]").select_option("GR")
    table = page.get_by_role("region", name="All routes")
    table.focus()
    table.evaluate("one => { one.scrollLeft = 30; window.before = one }")
    expect(page.locator("#routes[data-was]")).to_be_attached(timeout=WAIT)
    assert table.evaluate("one => one !== window.before")  # it was replaced
    expect(page.locator("select[name=country]")).to_have_value("GR")
    expect(table).to_be_focused()
    assert table.evaluate("one => one.scrollLeft") == 30
    page.reload()
    page.get_by_role("region", name="Open alarms").focus()
    expect(page.locator("#open[data-was]")).to_be_attached(timeout=WAIT)
    expect(page.get_by_role("region", name="Open alarms")).to_be_focused()


def test_without_a_script_the_tables_still_say_all(browser: Browser, address: str, shown: World) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + path_of("campaign", shown))
    page.locator("summary").click()
    assert page.locator("figure tbody tr").count() > 10
    page.goto(address)
    expect(page.locator(".run").first).to_contain_text("messages")
    page.locator("input[name=name]").fill("loyalty")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#finished tbody tr")).to_have_count(1)
    context.close()


def test_the_plot_is_drawn_again_when_the_colours_change(page: Page, address: str, shown: World) -> None:
    page.goto(address + path_of("campaign", shown))
    expect(page.locator("figure canvas")).to_be_visible()
    page.emulate_media(color_scheme="dark")
    expect(page.locator("figure canvas")).to_have_count(1)


def test_numbers_are_shown_to_a_person_who_may_after_the_login(page: Page, stage: Stage, shown: World) -> None:
    address, _ = stage.console(CONSOLE_TOKENS=f"anna:{'a' * 20}:full,ben:{'b' * 20}:masked")
    page.goto(address + path_of("search", shown))
    expect(page.locator("h1")).to_have_text("routee-console")
    page.locator("input[name=token]").fill("a" * 20)
    page.keyboard.press("Enter")
    expect(page.locator("h2").first).to_contain_text("message")
    assert NUMBER not in page.locator("table").inner_text()
    page.locator("text=Show them").click()
    expect(page.locator("table")).to_contain_text(NUMBER)
    assert page.evaluate("document.cookie") == ""

    def logged() -> bool:
        lines = "".join(file.read_text() for file in stage.logs.glob("console-*.log"))
        assert NUMBER.lstrip("+") not in lines
        return bool(re.search(r"looks at numbers.*anna", lines))

    eventually(logged)


def test_health_names_each_program_and_what_it_says(page: Page, address: str) -> None:
    page.goto(f"{address}/health")
    rows = page.locator("#programs tbody tr")
    expect(rows).to_have_count(len(PROGRAMS) + 1)
    expect(rows.nth(1)).to_contain_text("0.4 s behind; 8 of 8 partitions owned")
    expect(page.locator("#account")).to_contain_text("None is open")


def test_the_page_of_a_message_changes_by_itself(page: Page, stage: Stage, shown: World) -> None:
    known: dict[str, Any] = {}
    key = next(row["message_id"] for row in shown.sms if row["recipient"] == NUMBER)
    newest = max((row for row in shown.sms if row["message_id"] == key), key=lambda row: row["revision"])
    read_api = Answering(known)
    try:
        address, _ = stage.console(CONSOLE_READ_API=read_api.url)
        page.goto(f"{address}/messages/{key}")
        page.evaluate("window.untouched = true")
        row = newest | {"generation": 1, "revision": 99, "status": "Failed", "is_final": True}
        row |= {"message_status": "Failed", "message_revision": 99, "message_is_final": True}
        known[key] = {"sms": [row]}
        expect(page.locator("h1")).to_contain_text("Failed message", timeout=WAIT)
        assert page.evaluate("window.untouched") is True
    finally:
        read_api.close()


def newer(state: dict[str, Any], counts: dict[str, int], revision: int) -> dict[str, Any]:
    """Return a later state of a campaign."""
    moment = time_text(datetime.now(UTC))
    return state | {"messages_by_status": counts, "revision": revision, "last_received_at": moment}
