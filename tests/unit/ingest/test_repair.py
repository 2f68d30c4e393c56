"""Bodies that are not quite JSON: repaired when they can be read in one way only, else refused as they came."""

import base64
import gzip
import html
import json
import random
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.callback.body import NOT_GZIP, Rejected, examine
from ingest.callback.envelope import RECORD_BYTES, seal
from ingest.callback.nesting import MAX_DEPTH
from ingest.callback.redaction import Redactor
from ingest.callback.repair import Repaired, repair
from streams.contract.records import Envelope, Reason, RepairedCallback
from tests.builders import ABSENT, campaign_report, sms_callback
from tests.support.mutation import mutated

SECRET = "0123456789abcdef0123"  # noqa: S105 - no secret of a system
OPEN = Redactor([])
MAX_BYTES = 262_144
SAMPLES = [sample.read_bytes() for sample in sorted((Path(__file__).parents[2] / "samples").glob("*.json"))]

GOOD = sms_callback(message_id="m-1", sms_id="s-1", message="Γειά 😀 X", campaignName="Sale")
BODY = json.dumps(GOOD, ensure_ascii=False)


def mended(body: bytes | str, redactor: Redactor = OPEN) -> Repaired | Rejected:
    """Return the result of the patient path, for a body that the quick one refuses."""
    raw = body.encode() if isinstance(body, str) else body
    refused = examine(raw, redactor)
    assert isinstance(refused, Rejected), "no repair is needed"
    return repair(raw, refused, redactor, MAX_BYTES)


def note(repaired: Repaired) -> RepairedCallback:
    return RepairedCallback.model_validate({"index": 0} | orjson.loads(repaired.note))


def with_(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return GOOD | fields


def dumped(document: object) -> str:
    return json.dumps(document)


def text_with(inside: str, field: str = "campaignName") -> str:
    """Return a body in which a field has this content between its quotes, as it is."""
    return dumped(with_(**{field: "@@"})).replace("@@", inside)


UTF8 = BODY.encode()
COMPACT = json.dumps(GOOD, ensure_ascii=False, separators=(",", ":"))
WHOLE: dict[str, tuple[bytes | str, set[str]]] = {
    "byte order mark": ("\ufeff" + BODY, {"byte-order-mark"}),
    "two marks": ("\ufeff\ufeff" + BODY, {"byte-order-mark"}),
    "mark behind spaces": (" \r\n\ufeff " + BODY, {"byte-order-mark"}),
    "mark read as Latin-1": ("ï»¿" + BODY, {"surroundings"}),
    "UTF-16": (BODY.encode("utf-16"), {"byte-order-mark", "encoding"}),
    "UTF-16LE": (BODY.encode("utf-16-le"), {"encoding"}),
    "UTF-16BE": (BODY.encode("utf-16-be"), {"encoding"}),
    "UTF-16BE with mark": (b"\xfe\xff" + BODY.encode("utf-16-be"), {"byte-order-mark", "encoding"}),
    "UTF-32": (BODY.encode("utf-32"), {"byte-order-mark", "encoding"}),
    "UTF-32LE": (BODY.encode("utf-32-le"), {"encoding"}),
    "UTF-32BE": (BODY.encode("utf-32-be"), {"encoding"}),
    "UTF-32BE with mark": (b"\0\0\xfe\xff" + BODY.encode("utf-32-be"), {"byte-order-mark", "encoding"}),
    "gzip": (gzip.compress(UTF8), {"compression"}),
    "gzip with bytes behind": (gzip.compress(UTF8) + b"\0\0", {"compression"}),
    "gzip in two members": (gzip.compress(UTF8[:50]) + gzip.compress(UTF8[50:]), {"compression"}),
    "gzip without its last bytes": (gzip.compress(UTF8)[:-4], {"compression"}),
    "zlib": (zlib.compress(UTF8), {"compression"}),
    "raw deflate": (zlib.compress(UTF8)[2:-4], {"compression"}),
    "raw deflate, stored": (zlib.compress(UTF8, 0)[2:-4], {"compression"}),
    "gzip of UTF-16": (gzip.compress(BODY.encode("utf-16")), {"byte-order-mark", "compression", "encoding"}),
    "array of one": (f"[{BODY}]", {"wrapping"}),
    "array of one with a mark": (f"\ufeff[ {BODY} ]\n", {"byte-order-mark", "wrapping"}),
    "JSON text": (dumped(BODY), {"wrapping"}),
    "JSON text twice": (dumped(dumped(BODY)), {"wrapping"}),
    "escaped without its quotes": (BODY.replace('"', '\\"'), {"wrapping"}),
    "percent-encoded": (urllib.parse.quote(BODY), {"wrapping"}),
    "percent-encoded with plus": (urllib.parse.quote_plus(BODY), {"wrapping"}),
    "form": ("payload=" + urllib.parse.quote_plus(BODY), {"surroundings", "wrapping"}),
    "form with other fields": (f"a=1&json={urllib.parse.quote_plus(BODY)}&b=2", {"surroundings", "wrapping"}),
    "form unencoded": (f"payload={BODY}", {"surroundings"}),
    "multipart of one": (
        f'--b\r\nContent-Disposition: form-data; name="payload"\r\n\r\n{BODY}\r\n--b--\r\n',
        {"wrapping"},
    ),
    "base64": (base64.b64encode(UTF8), {"wrapping"}),
    "base64 for URLs": (base64.urlsafe_b64encode(UTF8).rstrip(b"="), {"wrapping"}),
    "HTML": (html.escape(BODY), {"wrapping"}),
    "HTML twice": (html.escape(html.escape(BODY)), {"wrapping"}),
    "HTML with its brackets": (html.escape(BODY).replace("{", "&#123;").replace("}", "&#x7D;"), {"wrapping"}),
    "HTML in digits of any number": (
        BODY.replace("&", "&amp;").replace('"', "&#0034;").replace("{", "&#0123;"),
        {"wrapping"},
    ),
    "a log's escapes": (dumped(GOOD).replace("\\", "\\\\").replace('"', "\\x22"), {"escape", "wrapping"}),
    "quote marks as units": (dumped(GOOD).replace("\\", "\\\\").replace('"', "\\u0022"), {"wrapping"}),
    "escaped twice without its quotes": (dumped(dumped(BODY)[1:-1])[1:-1], {"wrapping"}),
    "percent codes, and plus signs as they are": (urllib.parse.quote(COMPACT, safe="+:,"), {"wrapping"}),
    "quote marks as percent codes": (BODY.replace('"', "%22"), {"wrapping"}),
    "form with brackets in a name": ("body%5B%5D=" + urllib.parse.quote_plus(BODY), {"surroundings", "wrapping"}),
    "form of base64": (
        "payload=" + urllib.parse.quote_plus(base64.b64encode(UTF8).decode()),
        {"surroundings", "wrapping"},
    ),
    "form of a JSON text": ("payload=" + urllib.parse.quote_plus(dumped(BODY)), {"surroundings", "wrapping"}),
    "XML": (f'<?xml version="1.0"?>\n<string xmlns="http://a/b">{BODY}</string>', {"surroundings"}),
    "XML with CDATA": (f'<a b="c"><![CDATA[{BODY}]]></a>', {"surroundings"}),
    "percent-encoded twice": (urllib.parse.quote(urllib.parse.quote(BODY)), {"wrapping"}),
    "percent-encoded without its bracket": (f"{{{urllib.parse.quote(BODY[1:])}", {"wrapping"}),
    "gzip twice": (gzip.compress(gzip.compress(UTF8)), {"compression"}),
    "gzip in base64": (base64.b64encode(gzip.compress(UTF8)), {"compression", "wrapping"}),
    "base64 in gzip": (gzip.compress(base64.b64encode(UTF8)), {"compression", "wrapping"}),
    "data URL": (b"data:application/json;base64," + base64.b64encode(UTF8), {"wrapping"}),
    "array in an array": (f"[ [{BODY}]\n]", {"wrapping"}),
    "array of a JSON text": (dumped([BODY]), {"wrapping"}),
    **{f"behind it {tail!r}": (BODY + tail, {"surroundings"}) for tail in ("\0", "\0\0\0", "\u00a0", "\x1a", "\n\x04")},
    **{f"then {tail!r}": (BODY + tail, {"surroundings"}) for tail in (";", ",", "}", "]", "\ufeff", " OK", "&a=b")},
    **{f"first {head!r}": (head + BODY, {"surroundings"}) for head in ("\0", "\u00a0", "\x1e", ")]}',\n", "data: ")},
    "JSONP": (f"callback({BODY});", {"surroundings"}),
    "JSON sequence": (f"\x1e{BODY}\n", {"surroundings"}),
    "trailing comma": (BODY[:-1] + ",}", {"syntax"}),
    "two commas": (BODY.replace(', "', ',, "', 1), {"syntax"}),
    "comments": (BODY.replace(', "', ', /* " */ "', 1), {"syntax"}),
    "no-break space between": (BODY.replace(", ", ",\u00a0", 1), {"syntax"}),
    "Python's repr": (repr(GOOD), {"quotes"}),
    "CESU-8": (UTF8.replace("😀".encode(), b"\xed\xa0\xbd\xed\xb8\x80"), {"replaced"}),
    "messageId twice, alike": (BODY[:-1] + ', "messageId": "m-1",}', {"syntax"}),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_a_good_body_in_any_wrapping_is_the_same_callback(case: str) -> None:
    body, repairs = WHOLE[case]
    found = mended(body)
    assert isinstance(found, Repaired)
    assert (found.key, orjson.loads(found.body)) == ("m-1", GOOD)
    assert json.loads(found.body) == GOOD
    assert {repair.value for repair in note(found).repairs} == repairs
    assert base64.b64decode(note(found).original or "") == (body if isinstance(body, bytes) else body.encode())


@pytest.mark.parametrize("cover", [dumped, urllib.parse.quote, html.escape])
def test_a_body_may_have_four_covers_and_no_fifth(cover: Callable[[str], str]) -> None:
    body = BODY
    for _ in range(4):
        body = cover(body)
    found = mended(body)
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == GOOD
    assert isinstance(mended(cover(body)), Rejected)


def test_a_body_may_be_compressed_twice_and_four_times_at_most() -> None:
    body = UTF8
    for _ in range(4):
        body = gzip.compress(body)
    assert isinstance(mended(body), Repaired)
    assert isinstance(mended(gzip.compress(body)), Rejected)


@pytest.mark.parametrize(
    "half", [r"\ud83d", r"\ude00", r"\ude00\ud83d", r"a\ud83db", r"\ud83d\n", r"\ud83", r"\ud83d\u"]
)
@pytest.mark.parametrize("field", ["message", "campaignName", "label", "to", "operator", "unknown"])
def test_half_an_emoji_costs_its_character(half: str, field: str) -> None:
    found = mended(text_with(half, field))
    assert isinstance(found, Repaired)
    document = orjson.loads(found.body)
    assert "\ufffd" in document.pop(field)
    assert document == {name: value for name, value in GOOD.items() if name != field}
    assert [repair.value for repair in note(found).repairs] == ["replaced"]


@pytest.mark.parametrize(
    "document",
    [
        with_(message="X", groups=["a", "\ud83d"]),
        with_(message="X", x={"y": [{"z": "\ud83d"}]}),
        {"\ud83d": 1} | with_(message="X"),
        with_(message="X", status=GOOD["status"] | {"reason": {"description": "\ud83d"}}),
        with_(message="X", status=GOOD["status"] | {"updatedDate": "2026\ud83d"}),
    ],
)
def test_half_an_emoji_may_stand_in_every_place_that_decides_nothing(document: dict[str, Any]) -> None:
    found = mended(dumped(document))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == orjson.loads(dumped(document).replace(r"\ud83d", "\ufffd"))


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("Γειά".encode("iso-8859-7"), "\ufffd" * 4),
        ("Ünï".encode("cp1252"), "\ufffdn\ufffd"),
        ("Γειά".encode()[:-1], "Γει\ufffd"),
        (b"\xed\xa0\xbd", "\ufffd"),
        (b"\xed\xb8\x80\xed\xa0\xbd", "\ufffd\ufffd"),
        (b"\xc0\x80", "\ufffd\ufffd"),
        (b"a\xffb", "a\ufffdb"),
    ],
)
def test_bytes_that_are_not_utf_8_cost_their_characters(bad: bytes, good: str) -> None:
    found = mended(dumped(with_(message="@@")).encode().replace(b"@@", bad))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == with_(message=good)
    assert [repair.value for repair in note(found).repairs] == ["replaced"]


@pytest.mark.parametrize(
    ("inside", "content", "name"),
    [
        ("a\nb", "a\nb", "control-character"),
        ("a\tb\x00", "a\tb\x00", "control-character"),
        (r"it\'s", "it's", "escape"),
        (r"\x41", "A", "escape"),
        (r"\q", r"\q", "escape"),
        (r"\u12", "\ufffd", "replaced"),
        ('big "summer" sale', 'big "summer" sale', "quotes"),
        ('say "hi", now', 'say "hi", now', "quotes"),
    ],
)
def test_a_text_is_read_for_all_that_json_forbids_in_it(inside: str, content: str, name: str) -> None:
    found = mended(text_with(inside))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == with_(campaignName=content)
    assert [repair.value for repair in note(found).repairs] == [name]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("NaN", None), ("Infinity", None), ("-Infinity", None), ("1e999", None), ("9" * 400, None), ("", None),
        ("None", None), ("undefined", None), ("fast", None), ("0x1F", None), ("True", True),
        ("007", "007"), ("+1", "+1"), (".5", ".5"), ("1.", "1."),
    ],
)  # fmt: skip
def test_a_value_that_is_no_json_costs_itself(literal: str, value: object) -> None:
    found = mended(dumped(with_(latency="@@")).replace('"@@"', literal))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == with_(latency=value)
    assert [repair.value for repair in note(found).repairs] == ["value"]


@pytest.mark.parametrize("levels", [MAX_DEPTH, 1_000, 4_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_value_that_is_nested_too_deep_costs_itself(levels: int, opening: str) -> None:
    deep = opening * levels + "1" + ("]" if opening == "[" else "}") * levels
    found = mended(f'{{"x":{deep},{BODY[1:]}')
    assert isinstance(found, Repaired)
    assert {name: value for name, value in orjson.loads(found.body).items() if name != "x"} == GOOD
    assert [repair.value for repair in note(found).repairs] == ["too-deep"]


def test_a_whole_number_is_an_id() -> None:
    found = mended('{"messageId":17,"smsId":123456789012345678901234567890,"status":{"name":"Sent"}}')
    assert isinstance(found, Repaired)
    assert (found.key, orjson.loads(found.body)["smsId"]) == ("17", "123456789012345678901234567890")
    assert [repair.value for repair in note(found).repairs] == ["id-as-number"]


@pytest.mark.parametrize("field", ["smsId", "campaignTrackingId", "trackingId"])
def test_an_id_that_cannot_be_read_is_left_out_and_never_invented(field: str) -> None:
    found = mended(dumped(with_(**{field: "s-\ud83d"})))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == {name: value for name, value in GOOD.items() if name != field}
    assert [repair.value for repair in note(found).repairs] == ["replaced", "unreadable-id"]


CUTS = range(BODY.index(', "message"'), len(BODY))


@pytest.mark.parametrize("length", [*CUTS][::7])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_a_body_that_is_cut_behind_its_status_keeps_the_fields_before(length: int, codec: str) -> None:
    found = mended(BODY[:length].encode(codec))
    assert isinstance(found, Repaired)
    document = orjson.loads(found.body)
    assert GOOD | document == GOOD
    assert document.keys() >= {"messageId", "smsId", "status"}
    assert "cut" in [repair.value for repair in note(found).repairs]


@pytest.mark.parametrize("length", [1, 5, 20, BODY.index("Delivered") + 3, BODY.index("updatedDate") + 20])
def test_a_body_that_is_cut_in_its_status_or_before_is_refused(length: int) -> None:
    assert isinstance(mended(BODY[:length]), Rejected)


def test_every_cut_is_applied_or_refused_and_tells_nothing_else() -> None:
    for length in range(1, len(BODY)):
        found = mended(BODY[:length])
        if isinstance(found, Repaired):
            assert GOOD | orjson.loads(found.body) == GOOD


STATUS = '"status":{"name":"Sent"}'
REFUSED: dict[str, tuple[bytes | str, Reason]] = {
    "two documents": (BODY + BODY, Reason.NOT_JSON),
    "two lines": (f"{BODY}\n{BODY}", Reason.NOT_JSON),
    "two with a comma": (f'{BODY},{{"messageId":"b"}}', Reason.NOT_JSON),
    "the end of an envelope": ('{"messageId":"a"}],"x":[{}', Reason.NOT_JSON),
    "several in an array": (f"[{BODY},{BODY}]", Reason.NOT_OBJECT),
    "two forms": (("json=" + urllib.parse.quote_plus(BODY) + "&") * 2, Reason.NOT_JSON),
    "two parts": (f"--b\n\n{BODY}\n--b\n\n{BODY}\n--b--", Reason.NOT_JSON),
    "messageId twice": (f'{{"messageId":"a","messageId":"b",{STATUS},}}', Reason.NOT_JSON),
    "messageId twice, once escaped": (f'{{"messageId":"a","mess\\u0061geId":"b",{STATUS},}}', Reason.NOT_JSON),
    "trackingId twice": ('{"trackingId":"a","trackingId":"b","x":NaN}', Reason.NOT_JSON),
    "smsId twice": (f'{{"messageId":"a","smsId":"a","smsId":"b",{STATUS},}}', Reason.NOT_JSON),
    "status twice": (f'{{"messageId":"a",{STATUS},"status":{{"name":"Failed"}},}}', Reason.NOT_JSON),
    "name twice": ('{"messageId":"a","status":{"name":"Sent","name":"Failed"},}', Reason.NOT_JSON),
    "a status within a text without quotes": (text_with('x","status":{"name":"Failed"},"y":"z\n'), Reason.NOT_JSON),
    "the part within a text": (f'{{"messageId":"a","x":"b\\","part":2,"to":"c",{STATUS}}}', Reason.NOT_JSON),
    "messageId within a nested text": (f'{{"messageId":"a","x":["b\\","messageId":"c"],{STATUS}}}', Reason.NOT_JSON),
    "numbers within a text": ('{"trackingId":"a","name":"\\","totalRecipients":5,"x":"y","z":{}}', Reason.NOT_JSON),
    "another messageId before": (f"messageId=b&payload={BODY}", Reason.NOT_JSON),
    "a status behind a text that ends early": (text_with('a"}, "status":{}', "message"), Reason.NOT_JSON),
    "a status that seems to end": ('{"messageId":"a","status":"Sent"} b","x":"y"}', Reason.NOT_JSON),
    "another status behind, in a form": (f"payload={urllib.parse.quote_plus(BODY)}&status=Failed", Reason.NOT_JSON),
    "the part behind a bracket too many": (f'{{"messageId":"a",{STATUS}}}, part:2}}', Reason.NOT_JSON),
    "an inner object, and the end of the outer": (f'x, y:{{"messageId":"a",{STATUS}}},messageId:1}}', Reason.NOT_JSON),
    "a text in the status that ends early": (f'{{"messageId":"a",{STATUS} x","y":1}},"to":1}}', Reason.NOT_JSON),
    "several JSON texts in an array": (dumped([BODY, BODY]), Reason.NOT_OBJECT),
    "another messageId as the name of base64": (b"messageId=" + base64.b64encode(UTF8), Reason.NOT_JSON),
    "two fields of base64": (b"a=%s&b=%s" % (base64.b64encode(UTF8), base64.b64encode(UTF8)), Reason.NOT_JSON),
    "a missing comma within the status": (BODY.replace('"Delivered", ', '"Delivered" '), Reason.NOT_JSON),
    "an id in a tag": (f'<a messageId="b">{BODY}</a>', Reason.NOT_JSON),
    "half an emoji in messageId": (text_with(r"m\ud83d", "messageId"), Reason.NO_KEY),
    "bytes in messageId": (text_with("@", "messageId").encode().replace(b"@", b"\xe9"), Reason.NO_KEY),
    "line end in messageId": (text_with("m\n", "messageId"), Reason.NO_KEY),
    "quote mark in messageId": (text_with('a"b', "messageId"), Reason.NO_KEY),
    "half an emoji in the status": (dumped(with_(status={"name": "Deliv\ud83d"})), Reason.NOT_JSON),
    "half an emoji in a plain status": (dumped(with_(status="Deliv\ud83d")), Reason.NOT_JSON),
    "a number with a point as messageId": (dumped(with_(messageId=1.5)), Reason.NO_KEY),
    "a negative messageId": (dumped(with_(messageId=-1)), Reason.NO_KEY),
    "another case": (BODY.replace("messageId", "MessageId"), Reason.NO_KEY),
    "half an emoji in campaignStatus": (dumped(campaign_report() | {"campaignStatus": "Fin\ud83d"}), Reason.NOT_JSON),
    "half an emoji in a word of a report": (dumped(campaign_report(counts={"Se\ud83dnt": 1})), Reason.NOT_JSON),
    "a number of a report twice": ('{"trackingId":"a","messageStatuses":{"Sent":1,"Sent":2},"x":NaN}', Reason.NOT_JSON),
    "totalRecipients twice": ('{"trackingId":"a","totalRecipients":1,"totalRecipients":2,"x":NaN}', Reason.NOT_JSON),
    "the part half read": (f'{{"messageId":"a","part":"2\\ud83d",{STATUS}}}', Reason.NOT_JSON),
    "the part and parts in one text": (f'{{"messageId":"a","part":" 2, "parts":3,"x":"y",{STATUS}}}', Reason.NOT_JSON),
    "the part within the status": ('{"messageId":"a","status":{"name":"Sent","part":2,"parts":2}', Reason.NOT_JSON),
    "several parts, a line end in a name": (f'{{"messageId":"a","pa\nrt":2,"parts":2,{STATUS}}}', Reason.NOT_JSON),
    "several parts, a name half read": (f'{{"messageId":"a","p\\ud83dart":2,"parts":2,{STATUS}}}', Reason.NOT_JSON),
    "several parts, the part half read": (f'{{"messageId":"a","part":"2\\ud83d","parts":2,{STATUS}}}', Reason.NOT_JSON),
    "a report that is cut": (dumped(campaign_report(counts={"Sent": 1}))[:-30], Reason.NOT_JSON),
    "several parts, cut before the part": (f'{{"messageId":"a","parts":2,{STATUS},"smsI', Reason.NOT_JSON),
    "several parts, smsId not readable": (dumped(with_(smsId="\ud83d", part=None, parts=2)), Reason.NOT_JSON),
    "damage, and the status again behind it": (f'{{"messageId":"a",{STATUS},"x":[}},"status":{{}}}}', Reason.NOT_JSON),
    "several parts, an id that stands for none, cut before the part": (
        f'{{"messageId":"a","smsId":"null","parts":2,{STATUS},"pa',
        Reason.NOT_JSON,
    ),
    "several parts, the part no number": (f'{{"messageId":"a","part":NaN,"parts":2,{STATUS}}}', Reason.NOT_JSON),
    "damage, and a bare name": (f'{{"messageId":"a",{STATUS},"x":[}}, status : {{}}}}', Reason.NOT_JSON),
    "damage, and its name escaped": (f'{{"messageId":"a",{STATUS},"x":[}},"st\\u0061tus":1}}', Reason.NOT_JSON),
    "raw deflate that is cut": (zlib.compress(UTF8)[2:-5], Reason.NOT_JSON),
    "gzip that is damaged": (gzip.compress(UTF8)[:-8] + b"\0" * 8, Reason.NOT_JSON),
    "gzip that is cut in the status": (gzip.compress(UTF8, 0)[:60], Reason.NOT_JSON),
    "too much work": (f'{{"messageId":"a",{STATUS},"x":[{"1," * 30_000}]}}', Reason.NOT_JSON),
    "words": ("hello", Reason.NOT_JSON),
    "form fields": ("messageId=a&status=Sent", Reason.NOT_JSON),
    "HTML page": ("<html><body>{}</body></html>", Reason.NOT_JSON),
    "nothing": (b"", Reason.NOT_JSON),
    "mark alone": ("\ufeff", Reason.NOT_JSON),
    "NULs": (b"\0" * 100, Reason.NOT_JSON),
    "empty object in UTF-16": ("{}".encode("utf-16"), Reason.NOT_JSON),
    "open brackets": (b"[" * 10_000, Reason.TOO_DEEP),
    "open objects": (b'{"a":' * 10_000, Reason.TOO_DEEP),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_body_that_can_be_read_in_two_ways_or_in_none_stays_refused(case: str) -> None:
    body, reason = REFUSED[case]
    found = mended(body)
    assert isinstance(found, Rejected)
    assert found.reason is reason
    assert "m-1" not in found.detail


def test_damage_behind_the_status_costs_the_fields_behind_it() -> None:
    found = mended(BODY.replace('["vip"]', '["vip"}').replace('"status"', '"s"').replace('"to"', f'{STATUS}, "to"'))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body)["status"] == {"name": "Sent"}
    assert "latency" not in orjson.loads(found.body)
    assert [repair.value for repair in note(found).repairs] == ["damaged"]


@pytest.mark.parametrize("inside", ['{"a":"b"}', 'a"} b', 'a"}', '"}"}', 'a"}, b'])
def test_a_text_that_seems_to_end_the_object_costs_itself_and_the_fields_behind_it(inside: str) -> None:
    found = mended(text_with(inside, "message"))
    assert isinstance(found, Repaired)
    names = [*GOOD]
    assert orjson.loads(found.body) == {name: GOOD[name] for name in names[: names.index("message")]}
    assert "damaged" in {repair.value for repair in note(found).repairs}


@pytest.mark.parametrize("between", ['" "', '"\n"', ', "', "\" '", "', '"])
def test_a_text_takes_nothing_of_the_member_behind_it(between: str) -> None:
    """A mark or a comma was lost. The member behind it is no part of the text: it may be the number of a recipient."""
    quote = between[-1]
    found = mended(BODY.replace('"spring", "to"', f'"spring{between}to{quote}'))
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body) == {name: value for name, value in GOOD.items() if name != "to"} | {
        "label": "\ufffd"
    }
    assert [repair.value for repair in note(found).repairs] == ["replaced"]


def test_a_missing_comma_behind_the_status_costs_the_fields_behind_it() -> None:
    for field in ('"to"', "'to'", "to"):
        found = mended(f'{{"messageId":"a",{STATUS} {field}:1}}')
        assert isinstance(found, Repaired)
        assert orjson.loads(found.body) == {"messageId": "a", "status": {"name": "Sent"}}


def test_a_header_that_says_gzip_of_plain_bytes_is_not_believed() -> None:
    found = repair(UTF8, NOT_GZIP, OPEN, MAX_BYTES)
    assert isinstance(found, Repaired)
    assert (orjson.loads(found.body), note(found).repairs) == (GOOD, ["compression"])


def test_no_more_is_inflated_than_a_body_may_have() -> None:
    long = UTF8 + b" " * MAX_BYTES
    for body in (gzip.compress(long), zlib.compress(long)[2:-4]):
        assert isinstance(mended(body), Rejected)
        assert isinstance(repair(body, NOT_GZIP, OPEN, 2 * MAX_BYTES), Repaired)


REPORT = dumped(campaign_report(callbackInfo={"url": f"https://x.example/callbacks/{SECRET}", "strategy": "OnChange"}))


@pytest.mark.parametrize(
    ("body", "original"),
    [
        ("\ufeff" + REPORT, "\ufeff" + REPORT.replace(SECRET, "***")),
        (REPORT.encode("utf-16"), REPORT.replace(SECRET, "***").encode("utf-16")),
        (REPORT.encode("utf-32-be"), REPORT.replace(SECRET, "***").encode("utf-32-be")),
        ("\ufeff" + REPORT.replace(SECRET, "".join(f"\\u{ord(letter):04x}" for letter in SECRET)), "\ufeff" + REPORT),
        ("\ufeff" + REPORT.replace(SECRET, "".join(f"%{ord(letter):02x}" for letter in SECRET)), "\ufeff" + REPORT),
        (urllib.parse.quote(REPORT), urllib.parse.quote(REPORT).replace(SECRET, "***")),
        ("\ufeff" + REPORT.replace(SECRET, "".join(f"&#{ord(letter)};" for letter in SECRET)), "\ufeff" + REPORT),
        (gzip.compress(REPORT.encode()), None),
        (base64.b64encode(REPORT.encode()), None),
        (dumped(dumped(REPORT.replace(SECRET, "".join(f"\\u{ord(letter):04x}" for letter in SECRET)))), None),
    ],
)  # fmt: skip
def test_a_secret_is_neither_in_the_repaired_body_nor_in_the_original(
    body: bytes | str, original: bytes | str | None
) -> None:
    redactor = Redactor([SECRET])
    found = mended(body, redactor)
    assert isinstance(found, Repaired)
    assert orjson.loads(found.body)["callbackInfo"]["url"] == "https://x.example/callbacks/***"
    kept = note(found).original
    if original is None:
        assert kept is None
    else:
        expected = original.encode() if isinstance(original, str) else original
        assert base64.b64decode(kept or "") == expected.replace(SECRET.encode(), b"***")


@pytest.mark.parametrize("secret", [SECRET, "s3cret"])
@pytest.mark.parametrize("cover", [str, repr, dumped, lambda text: text.encode("utf-16-le").decode("latin-1")])
def test_a_secret_in_bytes_around_the_object_is_not_kept(secret: str, cover: Any) -> None:  # noqa: ANN401
    found = mended(f"{BODY}\n{cover(f'/callbacks/{secret}').replace(chr(34), '')}", Redactor([secret]))
    assert isinstance(found, Repaired)
    kept = base64.b64decode(note(found).original or "")
    assert secret.encode() not in kept.replace(b"\0", b"")


@pytest.mark.parametrize("fill", ["x", "é", "\U0001f600", '"', "\\"])
def test_a_repaired_body_fits_one_record_with_its_original_or_is_refused(fill: str) -> None:
    sizes = set()
    for size in (1_000, 100_000, 300_000, 600_000):
        body = (
            dumped(with_(message="@")).encode().replace(b"@", b"\xff" + (fill * (size // len(fill.encode()))).encode())
        )
        refused = examine(body, OPEN)
        assert isinstance(refused, Rejected)
        found = repair(body, refused, OPEN, 600_000)
        sizes.add(type(found))
        if isinstance(found, Repaired):
            assert len(seal([found.body], [found.key], 0, {0: found.note}).value) <= RECORD_BYTES
    assert sizes == {Repaired, Rejected}


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise(body: bytes) -> None:
    refused = examine(body, OPEN)
    if isinstance(refused, Rejected):
        assert isinstance(repair(body, refused, Redactor([SECRET]), MAX_BYTES), Repaired | Rejected)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_callbacks_are_repaired_to_callbacks_whose_ids_stand_in_the_bytes(seed: int) -> None:
    """The long form posts 200,000 of them (`tests/faults/test_ingest_fuzz.py`)."""
    chance = random.Random(seed)  # noqa: S311 - a seed that repeats
    repaired = 0
    for _ in range(1_000):
        body = mutated(chance, chance.choice(SAMPLES))
        refused = examine(body, OPEN)
        if not isinstance(refused, Rejected):
            continue
        found = repair(body, refused, OPEN, MAX_BYTES)
        if isinstance(found, Rejected):
            continue
        repaired += 1
        key, again = examine(found.body, OPEN)  # type: ignore[misc]
        assert (key, again) == (found.key, found.body)
        assert json.loads(found.body) == orjson.loads(found.body)
        assert found.key in body.decode(errors="replace")
        Envelope.model_validate(orjson.loads(seal([found.body], [key], 0, {0: found.note}).value))
        assert base64.b64decode(note(found).original or "") == body
    assert repaired > 100


def test_a_body_without_ids_is_no_callback_after_any_repair() -> None:
    found = mended("\ufeff" + dumped(sms_callback(message_id=ABSENT)))
    assert isinstance(found, Rejected)
