"""Admission of requests."""

from string import ascii_letters, digits
from typing import Any

import pytest

from ingest.causes import Cause
from ingest.http.admission import Refused, RequestHead, Rules, admit, fault_of, path_of, right_path

OPEN = Rules([], max_body_bytes=100)
GUARDED = Rules(["new-secret", "old-secret"], max_body_bytes=100)


def head(method: bytes = b"POST", target: bytes = b"/callbacks/new-secret", **facts: Any) -> RequestHead:  # noqa: ANN401 - facts differ in type
    made = RequestHead()
    made.method, made.target, made.minor, made.hosts, made.content_length = method, target, 1, 1, 10
    for name, fact in facts.items():
        setattr(made, name, fact)
    return made


def status(made: RequestHead, rules: Rules = GUARDED, *, address_allowed: bool = True) -> int:
    admitted = admit(made, rules, address_allowed=address_allowed)
    return admitted.status if isinstance(admitted, Refused) else 200


@pytest.mark.parametrize("secret", [b"new-secret", b"old-secret"])
def test_either_of_two_secrets_opens(secret: bytes) -> None:
    assert admit(head(target=b"/callbacks/" + secret), GUARDED, address_allowed=True) is None


@pytest.mark.parametrize(
    "target",
    [
        b"/callbacks",
        b"/callbacks/",
        b"/callbacks/wrong",
        b"/callbacks/new-secre",
        b"/callbacks/new-secrett",
        b"/callbacks/new-secret/more",
        b"/new-secret/callbacks",
        b"/new-secret",
        b"//new-secret/",
        b"/x/callbacks/new-secret",
        b"/callbacks//",
        b"/callbacks/new-secret%2F",
        b"/callbacks/new-secret%20more",
        b"/callbacks/new-secret%0",
        b"/callbacks/new-secret%",
        b"/callbacks/%20new-secret",
        b"/callbacks/%256eew-secret",
        b"/callbacks/new-secret#",
        b"/callbacks\\new-secret",
        b"http://ingest.example?/callbacks/new-secret",
        b"/callbacks/./new-secret",
        b"/Callbacks/new-secret",
        b"/callbacks/NEW-SECRET",
        b"/callbacks/new%2dSecret",
        b"/callbacks/%6Fld-secre",
        b"/callbacks%2Fnew-secret",
        b"/callbacks?secret=new-secret",
        b"/callbacks/?new-secret",
        b"/callbacks;/new-secret",
        b"callbacks/new-secret",
        b"*",
        b"",
    ],
)
def test_every_other_path_is_not_found(target: bytes) -> None:
    assert status(head(target=target)) == 404


@pytest.mark.parametrize(
    "target",
    [
        b"/callbacks/new-secret?x=1",
        b"http://ingest.example/callbacks/new-secret",
        b"HTTPS://ingest.example:8443/callbacks/new-secret?x=1",
    ],
)
def test_a_query_and_an_absolute_form_are_no_part_of_the_path(target: bytes) -> None:
    assert status(head(target=target)) == 200


@pytest.mark.parametrize(
    "target",
    [
        b"/callbacks/new-secret/",
        b"/callbacks/new-secret//",
        b"/callbacks//new-secret",
        b"//callbacks/new-secret",
        b"///callbacks///new-secret///?x=/",
        b"http://ingest.example//callbacks/new-secret/",
    ],
)
def test_doubled_slashes_and_one_at_the_end_are_forgiven(target: bytes) -> None:
    assert status(head(target=target)) == 200
    assert status(head(target=target.replace(b"/new-secret", b"")), OPEN) == 200
    assert status(head(target=target.replace(b"new", b"bad"))) == 404
    assert status(head(target=target), address_allowed=False) == 403, "before the secret is looked at"


@pytest.mark.parametrize(
    "target",
    [
        b"/callbacks/new%2Dsecret",
        b"/callbacks/new%2dsecret",
        b"/callbacks/%6eew-secret",
        b"/%63allbacks/new-secret",
        b"/callbacks/new-secret%20",
        b"/callbacks/new-secret%0D%0a",
        b"/callbacks/new-secret/%09?x=%20",
        b"/callbacks/new-secret%20/",
        b"/callbacks/new-secret%20//%0d%0A/?x=1",
        b"http://ingest.example//callbacks/%6Eew-secret%20",
    ],
)
def test_needless_codes_and_white_space_at_the_end_are_forgiven(target: bytes) -> None:
    assert status(head(target=target)) == 200
    assert status(head(target=target.replace(b"secret", b"secreu"))) == 404
    assert status(head(target=target), address_allowed=False) == 403, "before the secret is looked at"


def test_every_character_of_a_secret_may_be_written_as_its_code() -> None:
    secret = ascii_letters + digits + "-._~"
    target = b"/callbacks/" + b"".join(b"%%%02x" % ord(character) for character in secret)
    assert status(head(target=target), Rules([secret], max_body_bytes=1000)) == 200
    assert path_of(target) == target, "no other path is decoded"


@pytest.mark.parametrize("target", [b"/livez", b"/readyz", b"/metrics", b"/metrics/", b"//livez"])
def test_pages_are_not_here(target: bytes) -> None:
    """They stand on a port that strangers do not reach."""
    assert status(head(method=b"GET", target=target, content_length=None)) == 404


def test_without_secrets_only_the_bare_path_takes_callbacks() -> None:
    assert status(head(target=b"/callbacks"), OPEN) == 200
    assert status(head(target=b"/callbacks/anything"), OPEN) == 404


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        (b"/callbacks/", "has no secret behind /callbacks"),
        (b"/callbacks/old", "goes on behind /callbacks with no secret of INGEST_SECRETS"),
        (b"/Callbacks/new-secret", "does not begin with /callbacks"),
        (b"/callbacks%2Fnew-secret", "does not begin with /callbacks"),
        (b"", "does not begin with /callbacks"),
    ],
)
def test_the_fault_of_a_path_is_told_without_quoting_it(target: bytes, fault: str) -> None:
    assert fault_of(target, GUARDED) == fault


def test_the_right_path_is_told_with_its_secret_masked() -> None:
    assert right_path(GUARDED) == "/callbacks/*** (a secret of INGEST_SECRETS in place of ***)"
    assert right_path(OPEN) == "/callbacks"
    assert fault_of(b"/callbacks/x", OPEN) == "goes on behind /callbacks with something else"


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"])
def test_callbacks_are_posted_and_nothing_else(method: bytes) -> None:
    refused = admit(head(method=method), GUARDED, address_allowed=True)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.cause, refused.fields) == (405, Cause.METHOD, b"allow: POST\r\n")


def test_a_wrong_secret_does_not_reveal_which_methods_work() -> None:
    assert status(head(method=b"GET", target=b"/callbacks/wrong")) == 404


@pytest.mark.parametrize("target", [b"/callbacks/new-secret", b"/callbacks/wrong"])
def test_an_address_that_is_not_allowed_learns_nothing_about_the_secret(target: bytes) -> None:
    assert status(head(target=target), address_allowed=False) == 403


def test_the_longest_body_is_taken_and_one_byte_more_is_not() -> None:
    assert status(head(content_length=100)) == 200
    assert status(head(content_length=101)) == 413


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("facts", [{}, {"expect": b"100-continue"}, {"encodings": b"gzip"}])
def test_a_body_must_tell_its_length(minor: int, facts: dict[str, Any]) -> None:
    assert status(head(content_length=None, minor=minor, **facts)) == 411
    assert status(head(content_length=0, minor=minor, **facts)) == 200


def test_a_chunked_body_tells_its_length() -> None:
    assert status(head(content_length=None, chunked=True)) == 200


@pytest.mark.parametrize(
    ("encodings", "gzipped", "otherwise"),
    [
        (b"", False, False),
        (b"identity", False, False),
        (b"gzip", True, False),
        (b"x-gzip", True, False),
        (b"br", False, True),
        (b"utf-8", False, True),
        (b"gzip,gzip", False, True),
    ],
)
def test_no_body_is_refused_for_the_name_of_its_encoding(encodings: bytes, gzipped: bool, otherwise: bool) -> None:  # noqa: FBT001
    told = head(encodings=encodings)
    assert status(told) == 200
    assert (told.gzipped, told.encoded_otherwise) == (gzipped, otherwise)


def test_the_only_expectation_is_100_continue() -> None:
    assert status(head(expect=b"100-continue")) == 200
    assert status(head(expect=b"100-continue,100-continue")) == 200
    assert status(head(expect=b"tea")) == 417
    assert status(head(expect=b"100-continue,tea")) == 417


@pytest.mark.parametrize(
    "facts",
    [
        {"minor": None},
        {"hosts": 0},
        {"hosts": 2},
        {"minor": 0, "hosts": 2},
        {"chunked": True, "content_length": 10},
        {"chunked": True, "content_length": None, "minor": 0},
    ],
)
def test_a_head_that_proxies_read_differently_is_malformed(facts: dict[str, Any]) -> None:
    assert status(head(**facts)) == 400


def test_http_1_0_needs_no_host() -> None:
    assert status(head(minor=0, hosts=0)) == 200


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a?b", b"/a"),
        (b"http://h", b"/"),
        (b"http://h/a?b", b"/a"),
        (b"ftp://h/a", b""),
        (b"h:80", b""),
        (b"http://h?/a", b"/"),
    ],
)
def test_a_path_ends_before_the_query(target: bytes, path: bytes) -> None:
    assert path_of(target) == path
