"""Bytes become requests: in any pieces, and with any white space around the values of fields."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http.admission import Refused, RequestHead, Rules, admit
from ingest.http.limits import Limits
from ingest.http.reader import NO_REQUEST, RequestReader

RULES = Rules([], max_body_bytes=1000)
BODY = b'{"messageId": "m",\t"text":\t"a\tb\r\n\t\r\n"}'
CHUNKS = b"9\r\n%s\r\n%x\r\n%s\r\n0\r\nX:\ta\t\r\n\r\n" % (BODY[:9], len(BODY) - 9, BODY[9:])
FRAMINGS = {"Content-Length": (str(len(BODY)), BODY), "Transfer-Encoding": ("chunked", CHUNKS)}
FIELDS = {
    "Host": ("a",),
    "Expect": ("100-continue", "", "100-continue,"),
    "Content-Encoding": ("gzip", "identity", ",gzip", "GZip"),
    "Connection": ("keep-alive", "Upgrade", "foo,upgrade"),
    "Upgrade": ("h2c", ""),
    "X-Forwarded-For": ("192.0.2.1", "192.0.2.1,192.0.2.2"),
    "X": ("", "a b"),
}
WHITE = st.text(" \t", max_size=3)


class Taken:
    """Admits requests as the connection does, and keeps the facts and the bodies of whole ones."""

    def __init__(self) -> None:
        self.requests: list[tuple[object, ...]] = []

    def head_received(self, head: RequestHead) -> Refused | None:
        admitted = admit(head, RULES, address_allowed=True)
        return admitted if isinstance(admitted, Refused) else None

    def request_received(self, head: RequestHead, body: bytes) -> Refused | None:
        facts = (head.target, head.content_length, head.chunked, head.expect, head.encodings, head.forwarded_for)
        self.requests.append((*facts, body))
        return None


def read(*pieces: bytes) -> tuple[list[tuple[object, ...]], Refused | None]:
    """Return the requests in some pieces of a stream, and the refusal at which reading ended."""
    taken = Taken()
    reader = RequestReader(taken, Limits(), RULES.max_body_bytes)
    refused = None
    for piece in pieces:
        if refused is None and piece:
            refused = reader.feed(piece)
    return taken.requests, refused


def request(framing: str, fields: dict[str, tuple[str, str, str]], around: tuple[str, str]) -> bytes:
    """Return a request; each field has the white space before its value, the value, and the white space behind."""
    length, body = FRAMINGS[framing]
    lines = [f"{name}:{before}{value}{after}\r\n" for name, (before, value, after) in fields.items()]
    lines.insert(len(lines) // 2, f"{framing}:{around[0]}{length}{around[1]}\r\n")
    return f"POST /callbacks HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a request with white space around its values, and the same one without."""
    framing = draw(st.sampled_from(sorted(FRAMINGS)))
    names = ["Host", *draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=4))]
    fields = {name: (draw(WHITE), draw(st.sampled_from(FIELDS[name])), draw(WHITE)) for name in names}
    bare = {name: ("", value, "") for name, (_, value, _) in fields.items()}
    return request(framing, fields, (draw(WHITE), draw(WHITE))), request(framing, bare, ("", ""))


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 2000), max_size=6))
def test_white_space_around_values_and_the_cuts_of_the_stream_change_nothing(
    pairs: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(white for white, _ in pairs)
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(places)]
    expected = [read(bare) for _, bare in pairs]
    assert read(*pieces) == ([facts for taken, _ in expected for facts in taken], None)
    assert all(len(taken) == 1 and taken[0][-1] == BODY for taken, _ in expected)


def test_white_space_around_a_coding_survives_every_cut() -> None:
    stream = request("Transfer-Encoding", {"Host": ("", "a", "")}, ("\t", "\t")) * 2
    for cut in range(len(stream)):
        requests, refused = read(stream[:cut], stream[cut:])
        assert refused is None
        assert [facts[-1] for facts in requests] == [BODY] * 2
    assert read(*(stream[place : place + 1] for place in range(len(stream)))) == read(stream)


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x00", "\xa0", "\x85", "\r", "\x7f", "\x1f"])
@pytest.mark.parametrize("framing", sorted(FRAMINGS))
def test_nothing_else_is_white_space(framing: str, odd: str) -> None:
    length, body = FRAMINGS[framing]
    for value in (f"{odd}{length}", f"{length}{odd}", f" {odd} {length}", f"{length} {odd} "):
        head = f"POST /callbacks HTTP/1.1\r\nHost: a\r\n{framing}:{value}\r\n\r\n".encode("latin-1")
        requests, refused = read(head + body)
        assert not requests
        assert refused is not None
        assert refused.status in {400, 501}


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "\tContent-Length: 5",
        "Content-Length: 5\r\n ",
        "Content-Length: 5\r\n\t",
        "Content-Length:\r\n 5",
        "Content-Length: 5 5",
        "Content-Length: 5,",
        "Content-Length: \t",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\t,",
        "Transfer-Encoding: chunked\tx",
        "Transfer-Encoding: x\tchunked",
        "Transfer-Encoding: \t",
    ],
)
def test_white_space_elsewhere_is_refused(line: str) -> None:
    requests, refused = read(f"POST /callbacks HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n".encode() + BODY)
    assert not requests
    assert refused is not None
    assert refused.status in {400, 501}


@pytest.mark.parametrize(
    "line", ["POST\t/callbacks HTTP/1.1", "POST /callbacks\tHTTP/1.1", "POST /callbacks HTTP/1.1\t"]
)
def test_a_tab_in_the_request_line_is_refused(line: str) -> None:
    requests, refused = read(f"{line}\r\nHost: a\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    assert not requests
    assert refused is not None


def test_every_expectation_counts() -> None:
    fields = "Expect: tea\t\r\nExpect: 100-continue"
    _, refused = read(f"POST /callbacks HTTP/1.1\r\nHost: a\r\n{fields}\r\nContent-Length: 5\r\n\r\n12345".encode())
    assert refused is not None
    assert refused.status == 417


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("gzip", b"gzip"),
        ("\tGZip ,", b"gzip"),
        (", gzip", b"gzip"),
        ("\t, ,", b""),
        ("gzip\t,\tidentity", b"gzip,identity"),
    ],
)
def test_a_list_is_its_words(value: str, words: bytes) -> None:
    reader = RequestReader(Taken(), Limits(), RULES.max_body_bytes)
    reader.feed(f"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Encoding:{value}\r\nExpect:{value}\r\n\r\n".encode())
    assert (reader.head.encodings, reader.head.expect) == (words, words)


@pytest.mark.parametrize("rest", [b"junk", b"{}", b"\x00", b"\xce\x95", b"post / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("fields", ["", "Connection: close\r\n", "Connection: Upgrade, close\r\nUpgrade: h2c\r\n"])
def test_bytes_behind_a_request_that_begin_none_are_told_apart(fields: str, rest: bytes) -> None:
    head = f"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{fields}\r\n"
    requests, refused = read(head.encode() + b"{}" + rest)
    assert len(requests) == 1
    assert refused is NO_REQUEST


@pytest.mark.parametrize("fields", ["Connection: close", "Connection: Upgrade, close\r\nUpgrade: h2c"])
def test_a_request_behind_the_last_one_is_not_read(fields: str) -> None:
    last = f"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{fields}\r\n\r\n{{}}".encode()
    requests, refused = read(last + last)
    assert len(requests) == 1
    assert refused is NO_REQUEST
