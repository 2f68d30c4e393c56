"""Which address a request comes from."""

from ipaddress import ip_address

import pytest

from ingest.http.networks import Networks, client_address, parse_address

PROXIES = Networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_addresses_are_read_in_every_usual_form(text: str, address: str) -> None:
    assert parse_address(text) == ip_address(address)


@pytest.mark.parametrize("text", ["", "unknown", "192.0.2", "1.2.3.4.5", "_hidden"])
def test_a_text_that_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.9", b"", "203.0.113.9"),
        ("203.0.113.9", b"192.0.2.1", "203.0.113.9"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", b"198.51.100.7, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("fd00::1", b"[2001:db8::5]:80", "2001:db8::5"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxy(peer: str, forwarded_for: bytes, client: str) -> None:
    assert client_address(parse_address(peer), forwarded_for, PROXIES) == ip_address(client)


def test_an_unreadable_address_is_none() -> None:
    assert client_address(parse_address("10.0.0.1"), b"192.0.2.1, unknown", PROXIES) is None
    assert client_address(None, b"192.0.2.1", PROXIES) is None


def test_networks_of_the_other_family_do_not_hold_an_address() -> None:
    assert ip_address("2001:db8::1") not in Networks(["0.0.0.0/0"])
    assert ip_address("192.0.2.1") in Networks(["192.0.2.1"])
    assert not Networks([])
