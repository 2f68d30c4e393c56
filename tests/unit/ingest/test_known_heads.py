"""Which bytes count as a request whose head is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http.known_heads import KnownHeads

HEAD = b"POST /callbacks/s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
SECOND = HEAD.replace(b": 5", b": 7")
OTHER = HEAD.replace(b"Host: a", b"Host: b")
BODY = b"12345"


@pytest.fixture
def known() -> KnownHeads:
    heads = KnownHeads()
    heads.learn(HEAD, 5)
    heads.learn(SECOND, 7)
    return heads


@pytest.mark.parametrize(
    ("data", "bodies", "head", "rest"),
    [
        pytest.param(HEAD + BODY, [BODY], b"", b"", id="one request"),
        pytest.param(HEAD + BODY + SECOND + b"1234567", [BODY, b"1234567"], b"", b"", id="two requests"),
        pytest.param(HEAD + b"\r\n\r\n1", [b"\r\n\r\n1"], b"", b"", id="a body with a head's end in it"),
        pytest.param(HEAD + BODY[:4], [], b"", HEAD + BODY[:4], id="a body that is not whole"),
        pytest.param(HEAD, [], b"", HEAD, id="a head alone"),
        pytest.param(HEAD[:-1], [], b"", HEAD[:-1], id="a head without its last byte"),
        pytest.param(HEAD + BODY + HEAD + BODY[:4], [BODY], b"", HEAD + BODY[:4], id="the second body is not whole"),
        pytest.param(HEAD + BODY + HEAD[:9], [BODY], b"", HEAD[:9], id="the second head is not whole"),
        pytest.param(HEAD + BODY + b"\r\n", [BODY], b"", b"\r\n", id="an empty line behind"),
        pytest.param(OTHER + BODY, [], OTHER, BODY, id="an unknown head"),
        pytest.param(HEAD + BODY + OTHER + BODY, [BODY], OTHER, BODY, id="an unknown head behind a known one"),
        pytest.param(
            OTHER + BODY + HEAD + BODY, [], OTHER, BODY + HEAD + BODY, id="a known head behind an unknown one"
        ),
        pytest.param(b"\r\n" + HEAD + BODY, [], b"\r\n" + HEAD, BODY, id="an empty line before"),
        pytest.param(HEAD.lower() + BODY, [], HEAD.lower(), BODY, id="the same fields in other bytes"),
        pytest.param(b"\r\n\r\n" + HEAD, [], b"", b"\r\n\r\n" + HEAD, id="empty lines are no head"),
        pytest.param(b"", [], b"", b"", id="nothing"),
        pytest.param(b"\r\n\r\n", [], b"", b"\r\n\r\n", id="the end of a head alone"),
        pytest.param(b"x" * 3, [], b"", b"x" * 3, id="three bytes"),
    ],
)
def test_bytes_are_split_at_known_heads(
    known: KnownHeads, data: bytes, bodies: list[bytes], head: bytes, rest: bytes
) -> None:
    assert known.split(data) == (bodies, head, rest)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        pytest.param(HEAD + b"{234}", b"{234}", id="one request"),
        pytest.param(SECOND + b"{{3456}", b"{{3456}", id="a body with two braces"),
        pytest.param(HEAD + b"{23}", None, id="a body that is not whole"),
        pytest.param(HEAD + b"{234}" + HEAD + b"{234}", None, id="two requests"),
        pytest.param(HEAD + BODY, None, id="a body that is no object"),
        pytest.param(HEAD + b"\r\n{4}", None, id="a body with an empty line before it"),
        pytest.param(OTHER + b"{234}", None, id="an unknown head"),
        pytest.param(HEAD.replace(b"Host: a", b"Host: {") + b"{234}", None, id="a head with a brace"),
        pytest.param(HEAD, None, id="a head alone"),
        pytest.param(b"{", None, id="a brace"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_the_body_of_one_whole_request_with_a_known_head_is_taken_at_once(
    known: KnownHeads, data: bytes, body: bytes | None
) -> None:
    assert known.body_of(data) == body
    assert known.split(data)[0] == [body] or body is None


def test_bytes_without_a_brace_are_no_request_even_if_a_head_tells_their_length() -> None:
    known = KnownHeads()
    known.learn(HEAD, len(HEAD) + 2)
    assert known.body_of(HEAD + b"x") is None


def test_only_a_short_head_is_offered_to_be_learnt(known: KnownHeads) -> None:
    longest = b"x" * 2044 + b"\r\n\r\n"
    assert known.split(longest + BODY) == ([], longest, BODY)
    assert known.split(b"x" + longest + BODY) == ([], b"", b"x" + longest + BODY)


@given(st.lists(st.sampled_from([HEAD + BODY, SECOND + b"1234567", OTHER + BODY, b"\r\n", b"\r\n\r\n", HEAD[:7]])))
def test_no_byte_is_lost_and_none_is_read_twice(pieces: list[bytes]) -> None:
    known = KnownHeads()
    known.learn(HEAD, 5)
    known.learn(SECOND, 7)
    data = b"".join(pieces)
    bodies, head, rest = known.split(data)
    heads = {5: HEAD, 7: SECOND}
    assert b"".join(heads[len(body)] + body for body in bodies) + head + rest == data
    assert not rest.startswith((HEAD + BODY, SECOND + b"1234567")) or head


def test_heads_that_are_cleared_are_known_no_more(known: KnownHeads) -> None:
    known.clear()
    assert known.split(HEAD + BODY) == ([], HEAD, BODY)
    assert len(known) == 0


def test_the_memory_is_bounded() -> None:
    known = KnownHeads()
    for number in range(3_000):
        known.learn(b"GET /%d HTTP/1.1\r\n\r\n" % number, 1)
        assert len(known) <= 1_024
    last = b"GET /2999 HTTP/1.1\r\n\r\n"
    assert known.split(last + b"x") == ([b"x"], b"", b"")
