"""
The people who may look, and how much is shown.
"""

from collections.abc import Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from console.safety import cookies
from console.safety.gate import Gate
from console.safety.masking import masked_callback, masked_number, masked_text
from console.safety.people import People, Person, parse_people
from console.safety.proxies import Proxies, parse_networks
from console.safety.sheets import cell, sheet

ANNA, ALSO_ANNA, BEN = (
    Person("anna", may_unmask=True, token="a" * 20),
    Person("anna", may_unmask=True, token="b" * 20),
    Person("ben", may_unmask=False, token="c" * 20),
)
PEOPLE = People([ANNA, ALSO_ANNA, BEN])
NOW = 1_800_000_000.0


def test_a_cookie_stands_for_the_person_who_showed_the_token() -> None:
    assert cookies.person_of(cookies.cookie_for(BEN, NOW), PEOPLE, NOW + 60) == BEN
    assert cookies.person_of(cookies.cookie_for(ALSO_ANNA, NOW), PEOPLE, NOW) == ALSO_ANNA
    found = cookies.person_of(cookies.cookie_for(BEN, NOW), PEOPLE, NOW)
    assert found is not None
    assert found.until == NOW + cookies.SECONDS


@pytest.mark.parametrize(
    "change",
    [
        lambda cookie: cookie.replace("ben", "anna"),
        lambda cookie: cookie.replace("1800043200", "1900043200"),
        lambda cookie: cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        lambda _: "",
        lambda _: "ben",
        lambda _: "ben:99999999999999999999999999:00",
        lambda _: "ben:²:00",
        lambda cookie: cookie + "\u00e9",
    ],
)
def test_a_cookie_that_was_changed_is_no_cookie(change: Callable[[str], str]) -> None:
    assert cookies.person_of(change(cookies.cookie_for(BEN, NOW)), PEOPLE, NOW) is None


def test_a_cookie_ends_with_its_day_and_with_its_token() -> None:
    cookie = cookies.cookie_for(BEN, NOW)
    assert cookies.person_of(cookie, PEOPLE, NOW + cookies.SECONDS) is None
    assert cookies.person_of(cookie, People([ANNA, Person("ben", may_unmask=False, token="d" * 20)]), NOW) is None


def test_a_token_is_known_whole_only() -> None:
    assert PEOPLE.with_token("c" * 20) == BEN
    assert PEOPLE.with_token("c" * 19) is None
    assert PEOPLE.with_token("\u00e9") is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (",", "no person stands there"),
        (" ", "no person stands there"),
        ("anna:short:full", "16 to 128"),
        (f"anna:{'a' * 20}:all", "name:token:full"),
        (f"anna:{'a' * 20}:full,ben:{'a' * 20}:masked", "twice"),
        (f"anna:{'a' * 20}:full,anna:{'b' * 20}:masked", "both"),
    ],
)
def test_a_fault_of_the_tokens_is_told_without_them(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as told:
        parse_people(text)
    assert "a" * 16 not in str(told.value)


async def test_a_request_that_names_two_hosts_is_refused() -> None:
    told: list[Message] = []

    async def page(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("it was let in")

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        told.append(message)

    hosts = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": hosts}
    await Gate(page, People([]), None, None)(scope, receive, send)
    assert told[0]["status"] == 421


def test_a_header_of_no_trusted_proxy_counts_for_nothing() -> None:
    proxies = Proxies("X-Forwarded-User", parse_networks("10.0.0.0/8, ::1"), frozenset({"anna"}))
    assert proxies.person("10.1.2.3", ["anna"]) == Person("anna", may_unmask=True)
    assert proxies.person("::ffff:10.1.2.3", ["ben"]) == Person("ben", may_unmask=False)
    for peer, names in (("192.0.2.1", ["anna"]), ("10.1.2.3", []), ("10.1.2.3", ["anna", "ben"]), ("", ["anna"])):
        assert proxies.person(peer, names) is None
    assert proxies.person("10.1.2.3", ["anna\n"]) is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+306912345678", "+30•••••••678"),
        ("306912345678", "•••••••••678"),
        ("+12345", "+•••••"),
        ("***678", "***678"),
        ("+30 691 234 5678", "***678"),
        ("0030-6912345678", "***678"),
        ("tel:+306912345678", "tel:***678"),
        ("306912345678 ", "***678 "),
        ("Shop", "Shop"),
        ("0123456789abcdef" * 4, "0123456789abcdef" * 4),
        (None, None),
    ],
)
def test_a_number_keeps_its_last_three_digits(number: str | None, shown: str | None) -> None:
    assert masked_number(number) == shown


def test_a_callback_is_masked_in_depth_and_its_ids_stay() -> None:
    shown = str(
        masked_callback(
            {
                "messageId": "12345678-1234-1234-1234-123456789012",
                "to": "+306912345678",
                "from": "306900000000",
                "message": "call 6912345678",
                "label": "for 6912345678",
                "nested": [{"to": 306912345678, "campaignName": "ask 691 234 5678"}],
                "price": 0.04,
                "updatedDate": "2026-11-29T21:35:56Z",
            }
        )
    )
    assert "12345678-1234-1234-1234-123456789012" in shown
    assert "0.04" in shown
    assert "2026-11-29T21:35:56Z" in shown
    assert "2345" not in shown.replace("12345678-1234-1234-1234-123456789012", "")
    assert "call" not in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"msisdn": 306912345678}, {"msisdn": "•••••••••678"}),
        ({"to": "+306912345678"}, {"to": "+30•••••••678"}),
        ({"subject": "hello Maria"}, {"subject": "••• (11 characters)"}),
        ({"message": {"lines": ["hello Maria"]}}, {"message": {"lines": ["••• (11 characters)"]}}),
        ({"label": "2026-11-22T10:00 +306912345678"}, {"label": "***122T10:00 ***678"}),
        ([{"306912345678": None}], [{"***678": None}]),
        ("hello", "••• (5 characters)"),
    ],
)  # fmt: skip
def test_a_callback_is_masked_by_the_rules_of_refused_bodies(value: object, shown: object) -> None:
    assert masked_callback(value) == shown


def test_a_callback_that_cannot_be_looked_through_is_none() -> None:
    deep: list[object] = []
    for _ in range(60):
        deep = [deep]
    assert masked_callback(deep) is None


def test_a_text_is_told_by_its_length() -> None:
    assert masked_text("Hello you") == "••• (9 characters)"


@pytest.mark.parametrize(
    "text", ["=1+1", "+306912345678", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "  =1", "%0A=1", "|x", "\r=1"]
)
def test_a_cell_is_no_formula(text: str) -> None:
    assert cell(text).startswith("'")


@pytest.mark.parametrize(("value", "shown"), [(-1.5, "-1.5"), (3, "3"), (None, ""), ("Sale", "Sale"), (True, "True")])
def test_numbers_and_words_are_cells_as_they_are(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_a_sheet_quotes_and_shows_no_control_character() -> None:
    text = sheet(["a,b", "c"], [["x\u202ey\x00", 'say "hi"\nthere'], ["\ud83d", 1]]).decode()
    assert text == '\ufeff"a,b",c\r\nx\\u202ey\\x00,"say ""hi""\\nthere"\r\n\\ud83d,1\r\n'
