"""Addresses that guess secrets."""

import pytest

from ingest.http.guesses import Guesses
from ingest.http.networks import parse_address, share_of
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_hundred_misses_in_a_minute_are_none_too_many(clock: FakeClock) -> None:
    guesses = Guesses(clock)
    assert not any(guesses.note(b"a") for _ in range(100))
    assert guesses.note(b"a")
    assert not guesses.note(b"b"), "another address"


def test_a_url_that_is_wrong_now_and_then_is_no_guess(clock: FakeClock) -> None:
    guesses = Guesses(clock)
    for _ in range(10_000):
        clock.advance(0.7)
        assert not guesses.note(b"a")


def test_an_address_guesses_until_a_minute_without_a_miss(clock: FakeClock) -> None:
    guesses = Guesses(clock)
    for _ in range(101):
        guesses.note(b"a")
    for _ in range(5):
        clock.advance(59.0)
        assert guesses.note(b"a")
    clock.advance(60.0)
    assert not guesses.note(b"a")


def test_so_many_addresses_are_remembered_and_no_more(clock: FakeClock) -> None:
    guesses = Guesses(clock)
    for _ in range(101):
        guesses.note(b"first")
    for number in range(4_095):
        guesses.note(b"%d" % number)
    assert guesses.note(b"first"), "its last miss was longest ago; now it is the latest"
    guesses.note(b"one more")
    assert len(guesses) == 4_096
    assert guesses.note(b"first")


def test_an_address_that_comes_after_many_others_is_counted_too(clock: FakeClock) -> None:
    guesses = Guesses(clock)
    for number in range(5_000):
        guesses.note(b"%d" % number)
    assert not any(guesses.note(b"late") for _ in range(100))
    assert guesses.note(b"late")


def test_guesses_are_told_once_a_minute_without_the_guess(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    guesses = Guesses(clock)
    for _ in range(1_000):
        guesses.note(b"a")
    clock.advance(59.0)
    guesses.note(b"a")
    assert [vars(record)["guesses"] for record in caplog.records] == [1]
    clock.advance(1.0)
    guesses.note(b"a")
    assert [vars(record)["guesses"] for record in caplog.records] == [1, 901]


def test_an_ipv6_network_of_one_customer_is_one_client() -> None:
    one, same, other = map(parse_address, ("2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1"))
    assert share_of(one) == share_of(same) != share_of(other)
    assert share_of(parse_address("192.0.2.1")) != share_of(parse_address("192.0.2.2"))
    assert share_of(parse_address("::ffff:192.0.2.1")) == share_of(parse_address("192.0.2.1"))
