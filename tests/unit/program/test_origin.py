import pytest

from streams.program.origin import Origin

OWN = Origin("127.0.0.1")
HOST = ("host", "127.0.0.1:8123")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8123", "localhost:8123", "LocalHost:8123", "[::1]:8123", "127.0.0.1:80", "localhost"]
)
def test_programs_on_this_machine_are_answered_at_the_port_of_a_forwarder_too(host: str) -> None:
    assert OWN.refusal([("host", host), ("user-agent", "curl"), ("content-type", "text/plain")]) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8123",
        "127.0.0.1.evil.example:8123",
        "localhost.evil.example:8123",
        "evil.example:8123@127.0.0.1:8123",
        "192.0.2.1:8123",
        "0.0.0.0:8123",
        "",
    ],
)
def test_a_name_that_was_pointed_at_loopback_is_refused(host: str) -> None:
    assert OWN.refusal([("host", host)]) == f"host: {host}"


@pytest.mark.parametrize("headers", [[], [HOST, HOST]])
def test_there_is_one_host(headers: list[tuple[str, str]]) -> None:
    assert OWN.refusal(headers) == f"{len(headers)} Host headers"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("origin", "http://evil.example"),
        ("origin", "https://127.0.0.1:8123"),
        ("origin", "http://127.0.0.1:3000"),
        ("origin", "http://localhost:8123"),
        ("origin", "http://127.0.0.1"),
        ("origin", "http://127.0.0.1:8123.evil.example"),
        ("origin", "http://evil.example/127.0.0.1:8123"),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "http:"),
        ("referer", "http://evil.example/127.0.0.1:8123"),
        ("referer", "https://evil.example"),
        ("referer", "file:///tmp/page.html"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", ""),
    ],
)
def test_a_page_of_another_site_is_refused(name: str, value: str) -> None:
    assert OWN.refusal([HOST, (name, value)]) == f"{name}: {value}"
    assert OWN.refusal([(name, value), HOST]) == f"{name}: {value}"


@pytest.mark.parametrize(
    ("host", "name", "value"),
    [
        ("127.0.0.1:8123", "origin", "http://127.0.0.1:8123"),
        ("localhost:8123", "origin", "http://LOCALHOST:8123"),
        ("localhost:9000", "referer", "http://localhost:9000/?query=SELECT%201"),
        ("127.0.0.1:8123", "sec-fetch-site", "none"),
        ("127.0.0.1:8123", "sec-fetch-site", "same-origin"),
    ],
)
def test_a_query_typed_into_the_browser_is_answered(host: str, name: str, value: str) -> None:
    assert OWN.refusal([("host", host), (name, value)]) is None


def test_the_address_that_it_listens_on_is_its_own_and_80_needs_no_port() -> None:
    assert Origin("192.0.2.7").refusal([("host", "192.0.2.7"), ("origin", "http://192.0.2.7")]) is None
    assert Origin("2001:db8::7").refusal([("host", "[2001:db8::7]:8123")]) is None
    assert Origin("192.0.2.7").refusal([("host", "192.0.2.8")]) == "host: 192.0.2.8"
