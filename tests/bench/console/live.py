"""
From a callback that is posted to the number on the screen, and the processor time of two hundred tabs.

The real ingest, streams and console beside Kafka and ClickHouse, whose tables are empty: no sink runs, since two cores
have no room for it. Probes are callbacks of campaigns and messages of their own, posted among the others.
"""

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sandbox.ports import free_port
from sandbox.probes import answers_ok
from sandbox.process import Process
from sinks.cli import run_schema
from sinks.settings import SinksSettings
from streams.contract.codec import format_time
from tests.bench import measuring
from tests.bench.callbacks import PARTITIONS, body, tracking_id
from tests.bench.console.process import console
from tests.bench.measuring import cpu_seconds, quantile, say
from tests.support.markdown import ROOT

_PROBES: Final = range(100, 110)
_PROBES_PER_SECOND: Final = 8.0
_WARM_SECONDS: Final = 12.0
_LIMIT_SECONDS: Final = 2.0
_LIMIT_SHARE: Final = 0.15
_MESSAGES: Final = 12
"""Pages of messages that are open at once."""
_PATIENCE: Final = 20.0
_AGAIN_SECONDS: Final = 5.0
"""After which a tab reads its page again at any event (`console.js`)."""

Times = dict[tuple[str, int], float]


def live(given: argparse.Namespace) -> int:
    """Print latencies and processor time; 1 when one of both is not within its goal."""
    with tempfile.TemporaryDirectory(prefix="routee-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        kafka, clickhouse = stack.enter_context(measuring.stores(folder))
        run_schema(SinksSettings(clickhouse_url=clickhouse.url, clickhouse_user=clickhouse.user))
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "CLICKHOUSE_URL": clickhouse.url,
            "STREAMS_DATA_DIR": str(folder / "state"),
        }
        _run(folder, "streams", "topics", settings).require_success(60)
        port, web, pages = free_port(), free_port(together=2), free_port()
        settings |= {"STREAMS_WEB_PORT": str(web), "STREAMS_ADMIN_PORT": str(web + 1)}
        settings |= {"INGEST_HOST": "127.0.0.1", "INGEST_PORT": str(port), "INGEST_ADMIN_PORT": str(pages)}
        worker = stack.enter_context(_running(folder, "streams", "worker", settings, web + 1))
        stack.enter_context(_running(folder, "ingest", "serve", settings, pages))
        read_api = {"CONSOLE_READ_API": f"http://127.0.0.1:{web}"}
        address, shown = stack.enter_context(console(folder, **settings, **read_api))
        return _measured(given, port, address, worker.pid, shown.pid)


def _measured(given: argparse.Namespace, port: int, address: str, worker: int, shown: int) -> int:
    quiet, whole = given.seconds / 3, given.seconds
    feeding = subprocess.Popen(
        [*_module("feeder"), str(port), str(given.rate), str(_WARM_SECONDS + quiet + whole + given.seconds / 2)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    probes = Probes(port)
    probes.start()
    time.sleep(_WARM_SECONDS)
    alone, _ = _cpu(quiet, shown, worker)
    with _viewers(address, given.viewers) as viewers:
        time.sleep(1.0)
        first = len(probes.posted)
        together, streams = _cpu(whole, shown, worker)
        counted = dict([*probes.posted.items()][first:])
        messages = _messages(port, address, given.seconds / 2)
        in_browser = _browser(address, probes, given.seconds / 2)
    probes.stop()
    told = _told(viewers)
    fed = json.loads(feeding.communicate(timeout=60)[0])
    say(f"{fed['taken']:,} of {fed['sent']:,} callbacks answered 200, {given.rate:,} a second wanted")
    waits = {
        "campaign: told to a tab": _waits(counted, told),
        "campaign: on the screen": _waits(_since(probes.posted, in_browser), in_browser),
        "message: its page": messages,
    }
    say(f"{'seconds from the post':28} {'n':>6} {'p50':>6} {'p99':>6} {'most':>6}")
    for name, found in waits.items():
        if found:
            say(f"{name:28} {len(found):6} {quantile(found, 0.5):6.2f} {quantile(found, 0.99):6.2f} {max(found):6.2f}")
    share = (together - alone) / streams
    say(
        f"processor: streams {streams:.3f} cores, console {alone:.3f} without tabs and {together:.3f} with "
        f"{given.viewers}: they add {share:.2f} of streams"
    )
    is_late = any(quantile(found, 0.99) > _LIMIT_SECONDS for found in waits.values() if found)
    return int(is_late or share > _LIMIT_SHARE)


def _cpu(seconds: float, *pids: int) -> list[float]:
    """Return the cores that each process takes for a while."""
    before, began = [*map(cpu_seconds, pids)], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return [(now - was) / took for now, was in zip(map(cpu_seconds, pids), before, strict=True)]


class Probes(threading.Thread):
    """Posts a final message now and then to each of some campaigns: the n-th of a campaign makes its count n."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.posted: Times = {}
        self._poster = Poster(port)
        self._over = threading.Event()

    def run(self) -> None:
        count = 0
        while not self._over.wait(1 / _PROBES_PER_SECOND):
            campaign = _PROBES[count % len(_PROBES)]
            count += 1
            began = time.time()
            self._poster.post(str(uuid4()), campaign, "Delivered")
            self.posted[str(campaign), -(-count // len(_PROBES))] = began

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()


class Poster:
    """Posts single callbacks."""

    def __init__(self, port: int) -> None:
        self._port = port

    def post(self, message: str, campaign: int, status: str) -> None:
        """Post one on a connection of its own, since ingest closes silent connections. Returns when it is stored."""
        callback = body(message, campaign, status, format_time(datetime.now(UTC)))
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", "/callbacks", callback, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"ingest answers {answer.status}")


def _waits(posted: Times, told: Times) -> list[float]:
    """Return how long each probe waited until its campaign was told with it, or with a later one."""
    found = []
    for (campaign, count), at in posted.items():
        later = [when for (key, number), when in told.items() if key == campaign and number >= count and when >= at]
        if later:
            found.append(min(later) - at)
    return found


def _since(posted: Times, told: Times) -> Times:
    """Return the probes that were posted after the first of those told."""
    first = min(told.values(), default=0.0)
    return {probe: at for probe, at in posted.items() if at >= first}


def _messages(port: int, address: str, seconds: float) -> list[float]:
    """Return the seconds from each change of some messages until their open pages show it."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(_MESSAGES) as pool:
        found = pool.map(lambda number: [*_of_messages(port, address, number, end)], range(_MESSAGES))
    return [wait for waits in found for wait in waits]


def _of_messages(port: int, address: str, number: int, end: float) -> Iterator[float]:
    poster = Poster(port)
    time.sleep(number / _MESSAGES)
    while time.monotonic() < end:
        message = str(uuid4())
        poster.post(message, _PROBES[0] + 50, "Queued")
        _shown(address, message, "Queued", "again")
        with urllib.request.urlopen(f"{address}/events?message={message}", timeout=_PATIENCE) as events:  # noqa: S310 - loopback
            for status in ("Sent", "Delivered"):
                began = time.time()
                poster.post(message, _PROBES[0] + 50, status)
                while not _shown(address, message, status, _next_reading(events), tries=1):
                    pass
                yield time.time() - began


def _next_reading(events: Any) -> str:  # noqa: ANN401 - as urllib has it
    """Return the id of the event with which a tab reads its page again: of a change at once, of others after 5 s."""
    began, is_told = time.monotonic(), False
    for line in events:
        is_told = is_told or line.startswith(b"event: message")
        if line.startswith(b"id: ") and (is_told or time.monotonic() - began >= _AGAIN_SECONDS):
            return str(line[4:].strip().decode())
    raise RuntimeError("the stream has ended")


def _shown(address: str, message: str, status: str, mark: str, tries: int = 100) -> bool:
    """Return whether the page of a message has the status in its heading."""
    request = urllib.request.Request(f"{address}/messages/{message}", headers={"X-Refresh": mark})  # noqa: S310 - loopback
    for _ in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 - loopback
                if f"<bdi>{status}</bdi></span> message" in answer.read().decode():
                    return True
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.NOT_FOUND:
                raise
        time.sleep(0.1 if tries > 1 else 0)
    return False


_LOOK: Final = """
ids => { window.seen = [];
  const look = () => requestAnimationFrame(() => { for (const id of ids) {
    const place = document.querySelector(`[data-campaign="${id}"] .key [data-status=Delivered]`);
    const count = place && +place.textContent.replace(/,/g, "");
    if (count && window[id] !== count) { window[id] = count; window.seen.push([id, count, Date.now() / 1000]); }
  } });
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true }); }
"""


def _browser(address: str, probes: Probes, seconds: float) -> Times:
    """Return when a real browser had drawn each count of the probes' campaigns; nothing without one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None or not probes.is_alive():
        say("no chromium here: the last step, to the screen, is not measured")
        return {}
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a browser is no part of the other benchmarks

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        page.goto(address, timeout=60_000)
        page.evaluate(_LOOK, [tracking_id(campaign) for campaign in _PROBES])
        page.wait_for_timeout(seconds * 1000)
        seen = page.evaluate("window.seen")
        browser.close()
    # The first of each campaign was on the page before anything was looked at.
    first = {key: count for key, count, _ in reversed(seen)}
    return {(key[-3:], count): at for key, count, at in seen if count > first[key]}


@contextmanager
def _viewers(address: str, count: int) -> Iterator["subprocess.Popen[bytes]"]:
    port = address.rpartition(":")[2]
    campaigns = ",".join(str(campaign).zfill(12) for campaign in _PROBES)
    process = subprocess.Popen(
        [*_module("viewers"), port, str(count), campaigns], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        yield process
    except BaseException:
        process.kill()
        raise


def _told(viewers: "subprocess.Popen[bytes]") -> Times:
    found = json.loads(viewers.communicate(b"", timeout=60)[0])
    if found["failed"]:
        raise RuntimeError(f"{len(found['failed'])} tabs lost their stream: {found['failed'][0]}")
    return {
        (campaign.lstrip("0"), int(count)): at
        for campaign, counts in found["told"].items()
        for count, at in counts.items()
    }


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.console.{name}"]


def _run(folder: Path, program: str, command: str, settings: dict[str, str]) -> Process:
    process = Process(
        program,
        (sys.executable, "-m", program, command),
        folder / f"{program}-{command}.log",
        {**os.environ, **settings},
    )
    process.start()
    return process


@contextmanager
def _running(folder: Path, program: str, command: str, settings: dict[str, str], pages: int) -> Iterator[Process]:
    process = _run(folder, program, command, settings)
    try:
        process.wait_until(lambda: answers_ok(f"http://127.0.0.1:{pages}/readyz"), 120)
        yield process
    finally:
        process.stop(20)
