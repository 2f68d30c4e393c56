"""
The script of the pages, run without a browser.
"""

import json
import subprocess
from typing import Any

import pytest

from tests.support.markdown import ROOT
from tests.support.toolchain import need

SCRIPT = ROOT / "console" / "static" / "console.js"
# Stands for everything of a browser that the script touches; tells each fetch after the news of an alarm.
BROWSER = """
const heard = {}, fetched = [];
const any = () => new Proxy(function () {}, {
  get: (_, name) => name === Symbol.toPrimitive ? () => "" : any(), apply: () => any(), construct: () => any(),
});
const shown = { textContent: "As of 09:00:00" };
const place = {
  dataset: { events: "/events" }, querySelector: (name) => name === "span" ? shown : {},
  classList: any(), querySelectorAll: () => [],
};
globalThis.window = globalThis;
globalThis.location = new URL("http://127.0.0.1:8090" + process.argv[1]);
let reloads = 0;
location.reload = () => { reloads += 1; };
globalThis.document = {
  documentElement: any(), body: { dataset: { after: "a-1" } }, createElement: any,
  hidden: false, querySelectorAll: () => [],
  querySelector: (selector) => selector.startsWith(".live") ? place : null,
  addEventListener: (kind, then) => { (heard[kind] ||= []).push(then); },
};
globalThis.addEventListener = globalThis.matchMedia = any();
globalThis.setInterval = () => 0;
globalThis.setTimeout = (then) => { then(); return 0; };
const opened = [];
globalThis.EventSource = class {
  constructor(address) { this.address = address; this.readyState = 1; opened.push(this); }
  addEventListener(kind, then) { heard[kind] = [then]; }
};
globalThis.fetch = async (...asked) => { fetched.push(asked); return { redirected: true }; };
"""
RUN = """
heard.DOMContentLoaded.forEach((then) => then());
heard.now[0]({ data: "{}", lastEventId: "4711-9" });
setImmediate(() => {
  fetched.length = 0;
  heard.alarms[0]({});
  console.log(JSON.stringify(fetched));
});
"""
# A stream ends: first as the browser mends it, then by an answer that is no stream. Each wait is told.
DEAD = """
const waits = [];
globalThis.setTimeout = (then, wait) => { waits.push([then, wait]); return waits.length; };
heard.DOMContentLoaded.forEach((then) => then());
heard.now[0]({ data: "{}", lastEventId: "4711-9" });
waits.length = 0;
const told = [];
for (const state of [0, 2]) {
  opened.at(-1).readyState = state;
  heard.error[0]({});
  const again = waits.splice(0).filter(([, wait]) => wait >= 2000 && wait <= 5000);
  again.forEach(([then]) => then());
  told.push(again.length);
}
heard.now[0]({ data: "{}", lastEventId: "4711-12" });
console.log(JSON.stringify([told, opened.map((one) => one.address)]));
process.exit();
"""

ENDED = """
heard.DOMContentLoaded.forEach((then) => then());
opened[0].readyState = 2;
heard.error[0]({});
setImmediate(() => { console.log(JSON.stringify(reloads)); process.exit(); });
"""
STILL = """
globalThis.fetch = async () => ({ ok: false });
heard.DOMContentLoaded.forEach((then) => then());
const told = [];
for (const data of ['{}', '{"still": "09:15:07"}', '{}']) {
  heard.now[0]({ data, lastEventId: "4711-9" });
  told.push([shown.textContent, place.dataset.state]);
}
console.log(JSON.stringify(told));
process.exit();
"""


def run(script: str, path: str) -> Any:  # noqa: ANN401 - as the script tells it
    """Return what a script tells behind that of the pages."""
    need("node")
    command = ["node", "-e", BROWSER + SCRIPT.read_text() + script, path]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout)


def test_a_stream_that_a_502_ended_is_opened_again_behind_the_last_event() -> None:
    """A browser gives up after an answer that is no stream."""
    told, opened = run(DEAD, "/routes")
    assert told == [0, 1]
    assert [one.partition("?")[2] for one in opened] == ["after=a-1", "after=4711-9"]


def test_a_tab_whose_login_has_ended_goes_to_the_form() -> None:
    """The stream is answered with the form, and so is the page."""
    assert run(ENDED, "/routes") == 1


def test_a_tab_says_since_when_the_console_is_told_nothing() -> None:
    """Heartbeats go on then: they come from the console, not from Kafka."""
    assert run(STILL, "/routes") == [
        ["Live, just now", "live"],
        ["Stands still since 09:15:07", "away"],
        ["Live, just now", "live"],
    ]


@pytest.mark.parametrize(
    ("query", "times"), [("", 1), ("?page=1", 1), ("?show=1", 0), ("?callback=1/2/3&show=1", 0), ("?q=show", 1)]
)
def test_a_page_with_numbers_is_not_read_again(query: str, times: int) -> None:
    """Each reading would be a look of the person's in the log."""
    asked = [f"http://127.0.0.1:8090/campaigns/x{query}", {"headers": {"X-Refresh": "4711-9"}}]
    assert run(RUN, f"/campaigns/x{query}") == [asked] * times
