"""Readers and their tokens."""

import hmac
import socket
from pathlib import Path

import pytest

from streams.program.settings import SettingsError, load_settings
from streams.readers import LOCAL, Reader, Readers, access_problems, parse_readers
from streams.settings import StreamsSettings

ONE, TWO, WORKER = "one-0123456789ab", "two-0123456789ab", "workers-01234567"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in StreamsSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def readers() -> Readers:
    return Readers(parse_readers(f"desk:{ONE}:full, board:{TWO}:masked"), WORKER)


def test_a_token_names_its_reader() -> None:
    known = readers()
    assert known.names == ["board", "desk"]
    for token, name, sees_all in ((ONE, "desk", True), (TWO, "board", False), (WORKER, "worker", True)):
        found = known.recognize(f"Bearer {token}")
        assert found is not None
        assert (found.name, found.sees_all, found.is_worker) == (name, sees_all, token == WORKER)
    assert known.recognize(f"bearer   {ONE} ") is not None


@pytest.mark.parametrize(
    "given",
    ["", ONE, "Bearer", "Bearer ", f"Bearer {ONE[:-1]}", f"Bearer {ONE}x", f"Basic {ONE}", f"Bearer {ONE},{TWO}"],
)
def test_every_other_client_is_a_stranger(given: str) -> None:
    assert readers().recognize(given) is None


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that fits ends nothing: the time tells neither which one it was nor how much of one fits."""
    compared = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append((given, known))
        return hmac.compare_digest(given, known)

    monkeypatch.setattr("streams.program.tokens.hmac", type("hmac", (), {"compare_digest": staticmethod(compare)}))
    for given in (ONE, WORKER, "0" * 16):
        compared.clear()
        readers().recognize(f"Bearer {given}")
        assert compared == [(given.encode(), token.encode()) for token in (ONE, TWO, WORKER)]


def test_without_tokens_every_program_of_this_machine_reads_all() -> None:
    assert load_settings(StreamsSettings).readers.recognize("") is LOCAL
    assert Readers([], WORKER).recognize("") is LOCAL
    worker = Readers([], WORKER).recognize(f"Bearer {WORKER}")
    assert worker is not None
    assert worker.is_worker


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (",", "no person stands there"),
        ("desk", "name:token:full or name:token:masked is expected"),
        (f"desk:{ONE}", "is expected"),
        (f"desk:{ONE}:all", "is expected"),
        (f"desk:{ONE[:15]}:full", "a token has 16 to 128 letters"),
        (f"de sk:{ONE}:full", "is expected"),
        (f"desk:{ONE[:-1]}/:full", "is expected"),
        (f"desk:{ONE}:full,board:{ONE}:masked", "one token stands there twice"),
        (f"desk:{ONE}:full,desk:{TWO}:masked", "one name has both"),
    ],
)
def test_wrong_tokens_are_told_and_not_repeated(text: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_READ_TOKENS", text)
    monkeypatch.setenv("STREAMS_WORKER_TOKEN", "short")
    with pytest.raises(SettingsError) as error:
        load_settings(StreamsSettings)
    first, second = str(error.value).splitlines()
    assert first.startswith("STREAMS_READ_TOKENS: ")
    assert why in first
    assert second == "STREAMS_WORKER_TOKEN: 16 to 128 letters, digits and . _ ~ - are expected"
    assert ONE[:14] not in str(error.value)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1", "streams"])  # noqa: S104 - refused here
def test_an_address_that_others_reach_needs_both_tokens(bind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)

    def missing(**given: str) -> list[str]:
        named = {**vars(load_settings(StreamsSettings)), "streams_web_bind": bind, **given}
        return [line.partition(":")[0] for line in access_problems(named)]

    assert missing() == ["STREAMS_READ_TOKENS", "STREAMS_WORKER_TOKEN"]
    assert missing(streams_worker_token=WORKER) == ["STREAMS_READ_TOKENS"]
    assert missing(streams_read_tokens=f"desk:{ONE}:full") == ["STREAMS_WORKER_TOKEN"]
    assert missing(streams_read_tokens=f"desk:{ONE}:full", streams_worker_token=WORKER) == []


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_no_token_is_needed_but_readers_need_that_of_the_workers(bind: str) -> None:
    alone = load_settings(StreamsSettings, streams_web_bind=bind)
    assert list(access_problems(vars(alone))) == []
    with_readers = load_settings(StreamsSettings, streams_web_bind=bind, streams_read_tokens=f"desk:{ONE}:full")
    (line,) = access_problems(vars(with_readers))
    assert line.startswith("STREAMS_WORKER_TOKEN: it is needed with STREAMS_READ_TOKENS")


def test_no_reader_has_the_token_of_the_workers() -> None:
    told = load_settings(StreamsSettings, streams_read_tokens=f"desk:{ONE}:masked", streams_worker_token=ONE)
    (line,) = access_problems(vars(told))
    assert ONE not in line


def test_a_reader_does_not_show_its_token() -> None:
    assert ONE not in repr(Reader("desk", sees_all=True, token=ONE))
