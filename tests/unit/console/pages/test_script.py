"""
The script of the pages, run without a browser.
"""

import json
import subprocess

import pytest

from tests.support.markdown import ROOT
from tests.support.toolchain import need

SCRIPT = ROOT / "console" / "static" / "console.js"
# Stands for everything of a browser that the script touches; tells what is fetched after the news of an alarm.
BROWSER = """
const heard = {}, fetched = [];
const any = () => new Proxy(function () {}, {
  get: (_, name) => name === Symbol.toPrimitive ? () => "" : any(), apply: () => any(), construct: () => any(),
});
const place = { dataset: { events: "/events" }, querySelector: any, classList: any(), querySelectorAll: () => [] };
globalThis.window = globalThis;
globalThis.location = new URL("http://127.0.0.1:8090" + process.argv[1]);
globalThis.document = {
  documentElement: any(), body: { dataset: {} }, createElement: any, hidden: false, querySelectorAll: () => [],
  querySelector: (selector) => selector.startsWith(".live") ? place : null,
  addEventListener: (kind, then) => { (heard[kind] ||= []).push(then); },
};
globalThis.addEventListener = globalThis.matchMedia = any();
globalThis.setInterval = () => 0;
globalThis.setTimeout = (then) => { then(); return 0; };
globalThis.EventSource = class { addEventListener(kind, then) { heard[kind] = [then]; } };
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


@pytest.mark.parametrize(
    ("query", "times"), [("", 1), ("?page=1", 1), ("?show=1", 0), ("?callback=1/2/3&show=1", 0), ("?q=show", 1)]
)
def test_a_page_with_numbers_is_not_read_again(query: str, times: int) -> None:
    """Each reading would be a look of the person's in the log."""
    need("node")
    command = ["node", "-e", BROWSER + SCRIPT.read_text() + RUN, f"/campaigns/x{query}"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    asked = [f"http://127.0.0.1:8090/campaigns/x{query}", {"headers": {"X-Refresh": "4711-9"}}]
    assert json.loads(told.stdout) == [asked] * times
