"""
The pages: hostile names, masks, the login, and sources that are away.
"""

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import msgspec
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from console.errors import AwayError, TooSlowError
from console.live.callbacks import Callback
from console.pages.campaigns import words_of
from console.pages.events import EventStream
from console.programs.client import Program
from console.records import Alarm, Campaign
from console.safety.gate import Gate
from console.safety.people import Person
from console.server import operators_pages
from tests.support.markdown import ROOT
from tests.unit.console.pages.asgi import Console, TablesInMemory

KEY, MESSAGE = "c0ffee00-0000-4000-8000-000000000001", "5b1c9f0a-7c1e-4a3b-9f4c-2f1f0d8f6a11"
NUMBER, TEXT = "+306912345678", "Dear Maria, your code"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{ 7 * 7 }}",
    "a\u202egnp.exe",
    "a\x00b\x1b[31mc",
    "\ud83d",
    "javascript:alert(1)",
    "</title></table><h1>x",
)
PAGES = (
    "/",
    f"/campaigns/{KEY}",
    f"/messages/{MESSAGE}",
    f"/search?q={NUMBER.replace('+', '%2B')}",
    "/routes",
    "/refused",
    "/health",
)
TOKENS = f"anna:{'a' * 20}:full,ben:{'b' * 20}:masked"
EXAMPLES = ROOT / "streams" / "contract" / "examples" / "records"
TIME = "2026-11-29T12:00:00.000Z"


def campaign(name: str) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads((EXAMPLES / "campaign.progress.json").read_bytes())[0]
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    return record | {"campaign_tracking_id": KEY, "name": name, "first_received_at": moment, "last_received_at": moment}


def sms(name: str) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads((EXAMPLES / "sms.status.json").read_bytes())[-1]
    return record | {
        "message_id": MESSAGE,
        "recipient": NUMBER,
        "message": TEXT,
        "campaign_name": name,
        "sender": name,
        "operator": name,
        "label": name,
        "detailed_status": name,
        "status_description": f"{name} of {NUMBER}",
        "partition": 1,
        "offset": 2,
        "index": 0,
    }


def console(name: str = "Sale", **more: Any) -> Console:  # noqa: ANN401 - as the class takes them
    """Return a console whose every source has a name, a number and a text."""
    found = {
        **{
            key: sms(name).get(key)
            for key in ("message_id", "campaign_tracking_id", "campaign_name", "recipient", "sender")
        },
        "country": name,
        "operator": name,
        "first_seen": TIME,
        "final_at": TIME,
        "status": name,
        "seen": 1,
        "parts": 2,
        "price": "0.04",
        "is_final": True,
        "message_status": None,
        "detailed_status": name,
        "conflicts": 0,
    }
    route = {"country": name, "operator": name, "sms": 100, "final": 90, "delivered": 80, "price_total": "4.0"}
    body = orjson.dumps({"messageId": MESSAGE, "to": NUMBER, "message": TEXT}).decode()
    answers: dict[str, list[dict[str, Any]]] = {
        "campaign_history": [],
        "BY reason, stage LIMIT 200": [
            {
                "received_at": TIME,
                "stage": "ingest",
                "reason": "not-json",
                "detail": f"{name} to {NUMBER}",
                "body": body,
                "body_base64": None,
            }
            | {"redacted": False, "partition": None, "offset": None, "index": None}
        ],
        "groupArray((step, n))": [{"reason": "not-json", "stage": name, "callbacks": 3, "steps": [[0, 3]]}],
        "max(received_at) AS at": [{"at": TIME, "n": 1}],
        "max(received_at) AS newest": [{"newest": TIME, "changes": 1, "conflicts": 0}],
        "stuck_messages": [{"n": 1}],
        "schema_migrations": [{"version": 14}],
        "backfill_deadline": [{"healed": 1, "missing": 2, "sms": 9, "open_days": 1, "deadline": TIME, "gone": 0}],
        "count() AS n FROM campaigns": [{"n": 1}],
        "count() AS n FROM sms": [{"n": 1}],
        "FROM campaigns WHERE": [campaign(name)],
        "groupArray((ago, share))": [{**route, "points": [[2, 0.9], [1, 0.8]]}],
        "quantilesIf": [
            {**route, "soon": [0.7, 0.8, 0.9], "windows": 99, "within": [0] * 8 + [80] + [0] * 7, "hours": 100}
        ],
        "is_told": [{**route, "within": [0] * 8 + [80] + [0] * 7, "priced": 100, "judged": 100, "soon": 70}],
        "groupUniqArray(300)": [{"countries": [name], "senders": [name]}],
        "topK(3)": [
            {
                "status": "Failed",
                "detailed_status": name,
                "description": f"{name} of {NUMBER}",
                "sms": 3,
                "operators": [name],
                "places": 1,
            }
        ],
        "sumMap(map": [
            route | {"by_status": {"Delivered": 80, name: 20}, "p50": 3, "p90": 9, "senders": [name], "labels": [name]}
        ],
        "argMax(message_status": [found],
        "FROM sms WHERE message_id IN": [sms(name)],
        "FROM sms_history": [sms(name)],
    }
    kept = {
        (1, 2, 0): Callback(
            "routee.callbacks.raw", orjson.dumps({"to": NUMBER, "message": TEXT, "from": "Shop"}), datetime.now(UTC), ()
        )
    }
    made = Console(**{"answers": answers, "kept": kept, **more})
    made.picture.take_alarm(
        Alarm(
            "delivery-drop:x",
            "delivery-drop",
            *(TIME, TIME, 1),
            scope="sender",
            country=name,
            operator=name,
            sender=NUMBER,
            is_open=True,
            why=f"{name} for {NUMBER}",
        )
    )
    made.picture.take_alarm(
        Alarm("silence", "silence", TIME, TIME, 1, scope="account", is_open=True, why=f"{name} by {NUMBER}")
    )
    return made


class Seen(HTMLParser):
    """The tags of a page with their attributes, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_text_on_every_page(name: str) -> None:
    asked, plain = console(name), console()
    for path in PAGES:
        body = (await asked.get(path)).body
        tags = Seen(body).tags
        assert [one for one in body if one in "\x00\x1b\u202e\ud83d"] == [], path
        assert {tag for tag, _ in tags} == {tag for tag, _ in Seen((await plain.get(path)).body).tags}, path
        assert [one for tag, one in tags if tag == "script" and not one["src"].startswith("/static/")] == [], path
        attributes = [(name, value) for _, one in tags for name, value in one.items()]
        assert [one for one in attributes if one[0].startswith("on") or one[0] == "style"] == [], path
        places = [value for name, value in attributes if name in {"href", "src", "action"}]
        assert [place for place in places if not place.startswith(("/", "?", "#"))] == [], path


@pytest.mark.parametrize("name", [None, "", " ", "\t\n"])
async def test_a_campaign_without_a_name_can_be_opened(name: str | None) -> None:
    made = console()
    made.picture.take_campaign(Campaign(KEY, 1, TIME, TIME, name=name))
    assert f'<a href="/campaigns/{KEY}"><bdi>No name (c0ffee00)</bdi></a>' in (await made.get("/")).body


async def test_nothing_is_called_usual_where_no_usual_share_is_known() -> None:
    """A first campaign has no week to be held against: no alarm says nothing of it."""
    made = console()
    for alarm in made.picture.open_alarms:
        made.picture.take_alarm(msgspec.structs.replace(alarm, is_open=False, revision=2))
    assert made.answers
    made.answers["quantilesIf"] = []
    made.picture.take_campaign(Campaign(KEY, 1, TIME, TIME, name="Sale"))
    assert "No route has an alarm; no usual share is known yet." in (await made.get("/")).body
    of_campaign = (await made.get(f"/campaigns/{KEY}")).body
    assert "No alarm is open at its operator; no usual share is known yet." in of_campaign
    made.site.sources.feed.trouble = "Kafka does not answer (no connection)"
    of_campaign = (await made.get(f"/campaigns/{KEY}")).body
    assert "Whether an alarm is open is not known at its operator; no usual share is known yet." in of_campaign


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_shows_its_data_and_names_its_zone(path: str) -> None:
    answer = await console(settings={"console_time_zone": "Europe/Athens"}).get(path)
    assert answer.status == 200, answer.body
    assert "Times are Europe/Athens" in answer.body
    assert "This part is away" not in answer.body


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_runs_nothing_but_our_own_files(path: str) -> None:
    answer = await console().get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    places = re.findall(r"(?:src|href|action)=\"([^\"]*)\"", answer.body)
    assert [place for place in places if not place.startswith(("/", "?", "#"))] == []


@pytest.mark.parametrize("path", PAGES)
async def test_numbers_and_texts_are_masked_unless_asked_for_by_a_person_who_may(path: str) -> None:
    shown = path + ("&" if "?" in path else "?") + "show=1"
    for person, asked, may in ((None, path, False), ("a", path, False), ("b", shown, False), ("a", shown, True)):
        settings = {"console_tokens": TOKENS} if person else {}
        made = console(settings=settings)
        cookie = await logged_in(made, person * 20) if person else ""
        body = (await made.get(asked, cookie=cookie)).body
        # The field of the search, and the links that keep it, repeat what the person typed.
        body = re.sub(r'<input type="search"[^>]*>|href="\?q=[^"]*"', "", body)
        if not may:
            assert "6912345678" not in body, (path, person)
            assert TEXT not in body, (path, person)
        elif path.startswith("/messages"):
            assert NUMBER in body
            assert TEXT in body


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("/", "finished"), ("/", "running"), (PAGES[1], "operators"), (PAGES[1], "reasons"), (PAGES[1], "curve")),
        *((PAGES[1], "parts"), (PAGES[2], "parts"), (PAGES[2], "changes"), (PAGES[3], "messages")),
        *(("/routes", "routes"), ("/routes", "alarms"), ("/refused", "samples"), ("/refused", "reasons")),
        *(("/health", "pace"), ("/health", "programs")),
    ],
)
async def test_every_table_is_a_sheet_masked_alike(path: str, name: str) -> None:
    made = console("=cmd()")
    assert f"csv={name}" in (await made.get(path)).body
    answer = await made.get(f"{path}{'&' if '?' in path else '?'}csv={name}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "6912345678" not in answer.body
    assert not re.search(r"(^|,)\"?=cmd", answer.body, re.MULTILINE)


async def test_the_campaign_of_an_alarm_is_named_by_its_whole_id_though_numbers_are_masked() -> None:
    campaign = "0f3c5b1e-1234-4567-8901-23456789abcd"
    made = console()
    for alarm in made.picture.open_alarms:
        made.picture.take_alarm(msgspec.structs.replace(alarm, is_open=False, revision=2))
    subject = f"campaign:{campaign}"
    alarm = Alarm(f"campaign-hanging:{subject}", "campaign-hanging", TIME, TIME, 1, subject=subject, scope="campaign")
    made.picture.take_alarm(msgspec.structs.replace(alarm, is_open=True, why="Of 1,234,567 SMS 3 % are final"))
    routes = (await made.get("/routes")).body
    assert f"Campaign {campaign}: Of 1,234,567 SMS 3 % are final" in routes  # the banner
    assert f"<bdi>campaign {campaign}</bdi>" in routes
    assert f",{campaign}," in (await made.get("/routes?csv=alarms")).body


async def test_a_look_at_numbers_is_logged_without_them(caplog: pytest.LogCaptureFixture) -> None:
    made = console(settings={"console_tokens": TOKENS})
    cookie = await logged_in(made, "a" * 20)
    with caplog.at_level(logging.INFO):
        for path in PAGES:
            await made.get(path + ("&" if "?" in path else "?") + "show=1", cookie=cookie)
    lines = [record for record in caplog.records if "looks at" in record.message]
    assert {record.person for record in lines} == {"anna"}  # type: ignore[attr-defined]
    assert len(lines) == len(PAGES)
    assert NUMBER[1:] not in " ".join(str(vars(record)) for record in caplog.records)


async def logged_in(made: Console, token: str) -> str:
    answer = await made.get("/login", "POST", {"token": token, "next": "/routes"})
    assert (answer.status, answer.headers["location"]) == (303, "/routes")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {
        part.strip() for part in answer.headers["set-cookie"].split(";")
    }
    return answer.headers["set-cookie"].split(";")[0]


async def test_a_stranger_is_sent_to_the_login() -> None:
    made = console(settings={"console_tokens": TOKENS})
    for path in (*PAGES, "/events", "/?csv=finished"):
        answer = await made.get(path, cookie="routee_console=anna:9999999999:00")
        assert answer.status == 303
        assert answer.headers["location"].startswith("/login?next=%2F")
    assert (await made.get("/login")).status == 200


@pytest.mark.parametrize("foreign", ['prefs={"theme":"dark"}', "a b=c", 'x="1', "@;=;;"])
async def test_cookies_of_other_programs_on_the_host_do_not_end_a_login(foreign: str) -> None:
    made = console(settings={"console_tokens": TOKENS})
    cookie = await logged_in(made, "a" * 20)
    for cookies in (f"{foreign}; {cookie}", f"{cookie}; {foreign}"):
        assert (await made.get("/routes", cookie=cookies)).status == 200


async def test_a_wrong_token_is_told_and_not_repeated() -> None:
    answer = await console(settings={"console_tokens": TOKENS}).get("/login", "POST", {"token": "wrong-token-of-mine"})
    assert answer.status == 403
    assert "wrong-token-of-mine" not in answer.body
    assert "set-cookie" not in answer.headers


async def test_a_wrong_token_is_answered_half_a_second_later_and_a_right_one_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", wait)
    made = console(settings={"console_tokens": TOKENS})
    await logged_in(made, "a" * 20)
    assert waits == []
    for token in ("wrong-token-of-mine", ""):
        assert (await made.get("/login", "POST", {"token": token})).status == 403
    assert waits == [0.5, 0.5]


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x"])
async def test_after_the_login_no_person_is_sent_elsewhere(place: str) -> None:
    made = console(settings={"console_tokens": TOKENS})
    assert (await made.get("/login", "POST", {"token": "a" * 20, "next": place})).headers["location"] == "/"


async def test_a_login_that_is_longer_than_any_token_is_not_read() -> None:
    answer = await console(settings={"console_tokens": TOKENS}).get("/login", "POST", {"token": "a" * 5_000})
    assert answer.status == 413
    assert "set-cookie" not in answer.headers


async def test_over_https_the_cookie_never_travels_in_the_clear() -> None:
    made = console(settings={"console_tokens": TOKENS, "console_url": "https://console.example.com"})
    answer = await made.get("/login", "POST", {"token": "a" * 20}, host="console.example.com")
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", ""])
async def test_a_name_that_is_pointed_at_loopback_is_refused(host: str) -> None:
    assert (await console().get("/", host=host)).status == 421


async def test_a_page_of_another_site_is_given_nothing() -> None:
    made = console()
    assert (await made.get("/?csv=finished", sec_fetch_site="cross-site", sec_fetch_mode="no-cors")).status == 403
    assert (await made.get("/events", sec_fetch_site="same-site", sec_fetch_mode="cors")).status == 403
    assert (await made.get("/login", "POST", {"token": "x"}, sec_fetch_site="cross-site")).status == 403
    assert (await made.get("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_no_request_but_the_login_changes_anything(method: str) -> None:
    for path in PAGES:
        assert (await console().get(path, method)).status == 405


@pytest.mark.parametrize(
    "path", [*PAGES, "/events", "/static/x/console.js", "/login/", "/login/x", "/LOGIN", "//login", ""]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "post", "TRACE", "ANY"])
async def test_the_gate_itself_lets_no_post_through_but_that_of_the_login(method: str, path: str) -> None:
    """The pages behind it refuse most of these, too: the gate shall not rely on it."""
    let_in: list[str] = []

    async def page(scope: Scope, _receive: Receive, send: Send) -> None:
        let_in.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    made = console(settings={"console_tokens": TOKENS})
    cookie = await logged_in(made, "a" * 20)
    made.app = Gate(page, made.site.people, made.site.settings.proxies, made.site.settings.host)
    assert (await made.get(path, method, cookie=cookie)).status == 405
    assert let_in == []
    assert (await made.get("/login", "POST")).status == 200
    assert let_in == ["/login"]


async def test_a_proxy_names_the_person_and_from_elsewhere_the_name_counts_for_nothing() -> None:
    settings = {"console_proxy_header": "X-Forwarded-User", "console_proxy_full": "anna"}
    assert (await console(settings=settings).get("/", x_forwarded_user="ben")).status == 200
    assert (await console(settings=settings, peer="192.0.2.1").get("/", x_forwarded_user="ben")).status == 403
    assert (await console(settings=settings).get("/")).status == 403


@pytest.mark.parametrize("path", PAGES)
async def test_without_clickhouse_each_page_says_so_and_live_numbers_go_on(path: str) -> None:
    made = console(answers=None)
    made.picture.take_campaign(
        Campaign(KEY, 5, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", TIME, name="Sale", messages=10)
    )
    body = (await made.get(path)).body
    assert "ClickHouse does not answer" in body
    assert "Live numbers go on" in body
    if path == "/" or path.startswith("/campaigns"):
        assert "Sale" in body


async def test_health_takes_no_table_that_is_away_for_an_empty_one() -> None:
    """Neither is told that nothing came, nor that nothing was refused."""
    body = (await console(answers=None).get("/health")).body
    assert "Nothing came in the last hour" not in body
    assert "<dd>– in 24 hours" in body


async def test_health_tells_a_quiet_pipeline_from_one_that_was_never_used_and_from_one_that_cannot_be_read() -> None:
    """The tables tell of the last day; what they have of before is asked for when that was quiet."""
    quiet: dict[str, Any] = {
        "max(received_at) AS newest, count() AS changes": [{"newest": 0, "changes": 0, "conflicts": 0}]
    }
    newest = [{"newest": f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d %H:%M:%S}", "sms": 5}]
    counts = {"AS healed": [{"healed": 0, "missing": 0, "sms": 0, "open_days": 0, "deadline": None, "gone": 0}]}
    rest = counts | {"stuck_messages": [{"n": 0}], "schema_migrations": [{"version": 1}]}
    used = "FROM sms_status WHERE NOT is_superseded"
    for answers, told in (
        ({used: newest} | quiet | rest, "No callback has come for 3 days."),
        ({used: [{"newest": 0, "sms": 0}]} | quiet | rest, "No callback has ever come."),
        (None, "Whether callbacks come is not known:"),
    ):
        assert f"<b>{told}</b>" in (await Console(answers=answers).get("/health")).body


async def test_without_kafka_no_page_says_that_no_alarm_is_open() -> None:
    """Alarms are known from Kafka alone: none is told that opened while it is away."""
    made = console()
    made.picture.alarms.clear()
    for path in ("/", f"/campaigns/{KEY}", "/routes", "/health"):
        assert "not known" not in (await made.get(path)).body.partition("</nav>")[2].partition("<section")[0]
    made.site.sources.feed.trouble = "Kafka does not answer (no connection)"
    assert "hether a route has an alarm is not known" in (await made.get("/")).body
    assert "Whether a route has an alarm is not known." in (await made.get("/routes")).body
    for path in ("/routes", "/health"):
        body = (await made.get(path)).body
        assert "None is open" not in body
        assert "Whether one is open is not known." in body


async def test_without_clickhouse_and_kafka_no_page_says_that_no_campaign_runs() -> None:
    made = Console(answers=None)
    made.site.sources.feed.trouble = "Kafka does not answer (no connection)"
    body = (await made.get("/")).body
    assert "No campaign is running" not in body
    assert "Which campaigns run is not known." in body
    assert "Live numbers go on" not in body
    assert "are from ClickHouse, and go on" not in body


@pytest.mark.parametrize(
    ("total", "cost", "each"), [("0", "–", "–"), ("0.00000000", "–", "–"), ("2.5", "2.50", "0.5000")]
)
async def test_a_campaign_of_which_no_price_was_told_costs_nothing_that_is_known(
    total: str, cost: str, each: str
) -> None:
    made = console()
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    campaign = Campaign(
        KEY, 99, moment, TIME, generation=99, name="Sale", messages=10, messages_delivered=5, price_total=total
    )
    made.picture.take_campaign(campaign)
    body = (await made.get(f"/campaigns/{KEY}")).body
    assert f'<span data-word="cost">{cost}</span><small>{each} per delivered</small>' in body
    assert f'data-word="cost">{cost}<' in (await made.get("/")).body
    told: Any = words_of(campaign)
    assert told["words"]["cost"] == cost


@pytest.mark.parametrize(
    ("priced", "price_total", "shown"),
    [(0, "0", "–"), (5, "0.25000000", "0.0500"), (10, "0.5", "0.0500"), (5, "0", "0.0000")],
)
async def test_the_price_of_a_part_is_that_of_the_parts_that_have_one(
    priced: int, price_total: str, shown: str
) -> None:
    route: dict[str, Any] = {"country": "GR", "operator": "Cosmote", "sms": 10, "priced": priced}
    route |= {"price_total": price_total, "within": [0] * 16, "judged": 0, "soon": 0}
    made = Console(answers={"is_told": [route], "AS countries": [{"countries": [], "senders": []}]})
    assert f'<td class="num p4">{shown}</td></tr>' in (await made.get("/routes")).body


async def test_health_calls_clickhouse_away_while_its_answers_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink without news has no lag, and tells nothing of it."""

    async def stopped(*_: object, **__: object) -> None:
        raise TooSlowError("the answer took longer than 5 s, and was stopped")

    monkeypatch.setattr(TablesInMemory, "rows", stopped)
    sink = Program("sinks-clickhouse", 1, ("1.0",), None, 0.0, "", "up to date")
    body = (await console(programs=[sink]).get("/health")).body
    assert '<b>ClickHouse</b><span class="v">away</span><span>the answer took longer than 5 s' in body
    assert "<dt>Tables</dt><dd>away</dd>" in body


SHEETS = {
    "/?csv=finished",
    "/?csv=running",
    "/refused?csv=reasons",
    "/refused?csv=samples",
    "/routes?csv=routes",
    "/health?csv=pace",
    "/search?q=Sale&csv=messages",
    *(f"/campaigns/{KEY}?csv={table}" for table in ("operators", "reasons", "parts")),
}


@pytest.mark.parametrize("path", sorted(SHEETS))
async def test_a_table_without_its_source_is_no_empty_sheet(path: str) -> None:
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    for answers, status in ((None, 503), (console().answers, 200)):
        made = console(answers=answers)
        made.picture.take_campaign(Campaign(KEY, 5, moment, TIME, name="Sale", messages=10))
        answer = await made.get(path)
        assert answer.status == status
        assert answer.headers["content-type"].startswith("text/html" if status == 503 else "text/csv")
        assert ("ClickHouse does not answer" in answer.body) == (status == 503)


async def test_an_id_that_begins_with_digits_only_is_found() -> None:
    answers = console().answers or {}
    found = answers["argMax(message_status"]
    whole = [{"message_id": MESSAGE}]
    answers = {"startsWith(message_id": whole, "s.message_id IN": found, "count() AS n FROM sms": [{"n": 1}]}
    made = Console(answers=answers)
    assert f"/messages/{MESSAGE}" in (await made.get("/search?q=12345678")).body
    assert f"/messages/{MESSAGE}" not in (await made.get("/search?q=%2B12345678")).body


@pytest.mark.parametrize("answers", [{}, None])
async def test_a_message_that_only_streams_knows_is_shown_also_masked(answers: dict[str, Any] | None) -> None:
    row: dict[str, Any] = orjson.loads((EXAMPLES / "sms.status.json").read_bytes())[-1]
    row |= {"message": None, "label": None, "recipient": "***678", "groups": None}
    answer = await Console(answers=answers, messages={MESSAGE: {"sms": [row]}}).get(f"/messages/{MESSAGE}")
    assert answer.status == 200
    assert "***678" in answer.body


@pytest.mark.parametrize("path", PAGES)
async def test_without_kafka_each_page_says_so_and_the_tables_go_on(path: str) -> None:
    made = console()
    made.site.sources.feed.trouble = "Kafka does not answer (no connection)"
    made.picture.alarms.clear()
    answer = await made.get(path)
    assert answer.status == 200
    assert "The live numbers stand still since" in answer.body
    assert "what ingest cannot store, Routee sends again" in answer.body  # ingest answers 503 without Kafka


@pytest.mark.parametrize(
    "path", ["/campaigns/unknown", "/messages/unknown", "/nothing", "/static/x/console.css", "/nothing/"]
)
async def test_a_place_that_is_not_there_is_404_in_words(path: str) -> None:
    answer = await Console(answers={}).get(path)
    assert answer.status == 404
    assert "<h1>" in answer.body


@pytest.mark.parametrize(("path", "place"), [("/campaigns/", "/"), ("/messages/", "/search")])
async def test_an_address_without_its_id_leads_to_the_page_that_finds_ids(path: str, place: str) -> None:
    answer = await Console(answers={}).get(path)
    assert (answer.status, answer.headers["location"]) == (307, place)


@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=99999999999",
        "page=x",
        "sort=name;drop",
        "order=1",
        "period=0",
        "verdict=x",
        "name=" + "x" * 9999,
        "csv=x",
    ],
)
async def test_a_form_with_nonsense_is_the_page_as_it_is(query: str) -> None:
    assert (await console().get(f"/?{query}")).status == 200


@pytest.mark.parametrize("place", ["1/2", "1/2/3/4", "a/b/c", "-1/2/0", "1/99999999999999999999999/0", "²/1/1"])
async def test_a_callback_at_no_place_is_none(place: str) -> None:
    assert (await console().get(f"/messages/{MESSAGE}?callback={place}")).status == 200


async def test_the_first_load_is_at_most_150_kb() -> None:
    """As it travels: the page, and every file that it names, compressed."""
    made = console()
    for path in PAGES:
        body = (await made.get(path)).body
        size = len(body.encode())
        for place in set(re.findall(r"\"(/static/[^\"]*)\"", body)):
            answer = await made.site.files(_request(place, made.site.files.digest))
            size += len(answer.body)
        assert size <= 150_000, (path, size)


def _request(place: str, digest: str) -> Request:
    name = place.removeprefix(f"/static/{digest}/")
    return Request({"type": "http", "headers": [(b"accept-encoding", b"gzip")], "path_params": {"name": name}})


async def test_the_stream_is_not_collected_by_a_proxy() -> None:
    made = console()
    made.news.close()  # so that it ends
    answer = await made.get("/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"


async def test_a_stream_ends_with_the_login_that_began_it() -> None:
    made, now = console(), [1_000.0]
    ben = Person("ben", may_unmask=False, until=1_100.0)
    request = Request({"type": "http", "headers": [], "query_string": b"", "person": ben})
    answer = await EventStream(made.site, lambda: now[0])(request)
    assert isinstance(answer, StreamingResponse)
    told = aiter(answer.body_iterator)
    for _ in range(2):
        assert await anext(told)
    now[0] = 1_100.0
    made.picture._alarms_changed = made.picture.tick
    made.news.tick()
    async with asyncio.timeout(20):
        assert [event async for event in told] == []
    assert made.news.viewers == 0


async def test_a_heartbeat_says_since_when_kafka_is_away() -> None:
    made = console(settings={"console_time_zone": "Europe/Athens"})
    feed = made.site.sources.feed
    assert b"still" not in made.news._end(1)
    feed.trouble, feed.since = "Kafka does not answer", datetime(2026, 11, 29, 12, 0, 7, tzinfo=UTC)
    assert b'"still":"14:00:07"' in made.news._end(1)
    assert "Stands still since 14:00:07" in (await made.get("/health")).body


async def test_tabs_that_read_again_share_a_page_and_no_look_at_numbers() -> None:
    made = console()
    place = f"/messages/{MESSAGE}"
    counted = made.site.metrics.pages.labels("search")
    for _ in range(20):
        assert "6912345678" not in (await made.get(place, x_refresh="1")).body
    assert counted._value.get() == 1
    for _ in range(2):
        assert NUMBER in (await made.get(f"{place}?show=1", x_refresh="1")).body
    assert counted._value.get() == 3
    assert NUMBER not in (await made.get(place, x_refresh="1")).body


async def test_a_tab_that_was_told_of_a_change_gets_no_page_from_before_it() -> None:
    """However young that page is: the tab reads again only with the next change, or seconds later."""
    made = Console()
    place = f"/messages/{MESSAGE}"
    for status in ("Queued", "Sent", "Delivered"):
        made.messages[MESSAGE] = {"sms": [sms("Sale") | {"status": status, "message_status": status}]}
        made.news.tick()
        mark = made.news.mark()
        for _ in range(2):
            assert f"<bdi>{status}</bdi></span> message" in (await made.get(place, x_refresh=mark)).body
    assert made.site.metrics.pages.labels("search")._value.get() == 3


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "No campaign finished in the last 7 days."),
        ("?period=31", "No campaign finished in the last 31 days."),
        ("?period=all", "No campaign finished."),
        ("?name=sale", "No finished campaign is like this."),
        ("?verdict=behind", "No finished campaign is like this."),
    ],
)
async def test_no_finished_campaign_is_told_by_what_was_asked_for(query: str, told: str) -> None:
    made = Console(answers={"count() AS n FROM campaigns": [{"n": 0}]})
    assert f"<b>{told}</b>" in (await made.get(f"/{query}")).body


@pytest.mark.parametrize(("parts", "told"), [(1, "1 part billed"), (2, "2 parts billed")])
async def test_parts_are_counted_in_words(parts: int, told: str) -> None:
    row = {"parts": parts, "messages": 1, "whole": 1, "in_part": 0, "missing": 0, "billed": parts}
    made = Console(answers={"sum(parts) AS billed": [row], "FROM campaigns WHERE": [campaign("Sale")]})
    assert told in (await made.get(f"/campaigns/{KEY}")).body


async def test_a_sheet_of_found_messages_is_missing_when_the_last_place_to_look_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Console(answers={})
    sheet = f"/search?q={MESSAGE}&csv=messages"
    assert (await made.get(sheet)).status == 200
    monkeypatch.setattr(made.site.sources.messages, "labelled", away)
    assert (await made.get(sheet)).status == 503


async def test_a_message_that_streams_alone_may_know_is_not_called_unknown_while_streams_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Console(answers={})
    assert (await made.get(f"/messages/{MESSAGE}")).status == 404
    monkeypatch.setattr(made.site.sources.read_api, "message", away)
    answer = await made.get(f"/messages/{MESSAGE}")
    assert answer.status == 503
    assert "<h1>This message cannot be looked up now</h1>" in answer.body
    assert "Nothing is known" not in answer.body


async def away(_message_id: str) -> None:
    raise AwayError("streams does not answer")


async def test_a_page_that_is_read_again_names_no_other_person() -> None:
    made = console(settings={"console_tokens": TOKENS})
    anna, ben = await logged_in(made, "a" * 20), await logged_in(made, "b" * 20)
    for cookie, name, other, may in ((anna, "anna", "ben", True), (ben, "ben", "anna", False)):
        page = (await made.get(f"/messages/{MESSAGE}", cookie=cookie, x_refresh="1")).body
        assert f"<span>{name}</span>" in page
        assert other not in page
        assert ("show=1" in page) is may


async def test_a_sheet_that_is_asked_for_again_is_no_page_that_is_shared() -> None:
    answer = await console().get("/health?csv=pace", x_refresh="1", accept_encoding="gzip")
    assert answer.headers["content-disposition"] == 'attachment; filename="pace.csv"'
    assert "content-encoding" not in answer.headers


def test_the_page_of_metrics_says_what_runs_and_has_no_times_of_creation() -> None:
    pages = operators_pages(console().site)
    text = pages.metrics().decode()
    assert 'routee_build_info{program="console"' in text
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text


@pytest.mark.parametrize("name", HOSTILE)
async def test_health_tells_what_each_program_says_and_no_markup_of_it(name: str) -> None:
    known = [
        Program("streams", 2, ("1.0", name), 1_700_000_000.0, 0.4, "", f"0.4 s behind {name}"),
        Program("sinks-clickhouse", 1, ("1.0",), None, 400.0, "", "7 min behind"),
        Program("backfill", 0, (), None, None, f"no answer {name}", ""),
    ]
    body = (await console(programs=known).get("/health")).body
    assert [one for one in body if one in "\x00\x1b\u202e\ud83d"] == []
    assert {tag for tag, _ in Seen(body).tags} == {
        tag for tag, _ in Seen((await console(programs=[known[1]]).get("/health")).body).tags
    }
    rows = re.findall(r"<tr><th scope=\"row\">([\w-]+)</th>.*?</tr>", body)
    assert [one for one in rows if one in {"streams", "sinks-clickhouse", "backfill", "console"}] == [
        *("streams", "sinks-clickhouse", "backfill", "console")
    ]
    sheet = (await console(programs=known).get("/health?csv=programs")).body
    assert sheet.splitlines()[2].startswith("sinks-clickhouse,1,1.0,late,400.0,")


@pytest.mark.parametrize(("query", "hours"), [("", 24), ("period=168", 168), ("reason=not-json", 24)])
async def test_the_command_to_redrive_has_the_reason_and_the_hours_of_the_page(query: str, hours: int) -> None:
    body = unescape((await console().get(f"/refused?{query}")).body)
    found = re.search(r"<code tabindex=\"0\">(routee-ingest redrive [^<]*)</code>", body)
    assert found
    words = found[1].split()
    assert words[:4] == ["routee-ingest", "redrive", "--reason", "not-json"]
    assert words[-1] == "--plan"
    since, until = (datetime.fromisoformat(words[words.index(name) + 1]) for name in ("--since", "--until"))
    assert (since.minute, until.minute) == (0, 0)
    assert since < datetime.now(UTC) < until  # the newest step of the period has some
    assert until - since <= timedelta(hours=hours / 24 + 2)


async def test_a_reason_from_outside_stays_one_word_of_the_command() -> None:
    made = console()
    assert made.answers is not None
    made.answers["groupArray((step, n))"][0]["reason"] = "x; rm -rf ~ $(id)"
    assert "--reason 'x; rm -rf ~ $(id)' --since" in unescape((await made.get("/refused")).body)


async def test_of_ten_thousand_campaigns_a_page_and_a_stream_have_some() -> None:
    made, many = console(), 10_000
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    for number in range(many):
        made.picture.take_campaign(
            Campaign(f"{number:05}", 1, now, now, name=f"Sale {number}", messages=9, messages_by_status={"Sent": 9})
        )
    made.news.tick()
    body = (await made.get("/")).body
    assert len(re.findall(r" data-campaign=", body)) == 50
    assert f"{many + 1:,} campaigns are running" in body  # one more is in the tables
    assert len(body) < 300_000
    stream = made.news.stream(None)
    told = b"".join([await anext(stream) for _ in range(2)])
    await stream.aclose()  # type: ignore[attr-defined]
    assert told.count(b"event: campaign") == 100
    assert len(told) < 100_000
