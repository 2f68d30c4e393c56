"""Every body that is answered 200 is in one of the two topics, byte for byte, secrets aside; repaired ones twice."""

import asyncio
import gzip
import random
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from ingest.callback.envelope import RawRecord
from ingest.commit.lane import Lane
from ingest.errors import NotStoredError
from streams.contract.keys import partition_of
from streams.contract.records import Envelope, Reason, Rejection
from streams.contract.topics import CALLBACKS_RAW, Topic
from tests.integration.ingest.wire import PATH, SECRET, Server, chunked, post
from tests.support.mutation import mutated
from tests.support.wait import eventually_async

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.json"))

GARBAGE = {
    "empty": (b"", Reason.NOT_JSON),
    "spaces": (b"  \r\n", Reason.NOT_JSON),
    "not JSON": (b"hello", Reason.NOT_JSON),
    "form": (b"messageId=1&status=Sent", Reason.NOT_JSON),
    "cut off": (b'{"messageId":"a"', Reason.NOT_JSON),
    "not UTF-8": (b'{"messageId":"\xff\xfe"}', Reason.NO_KEY),
    "lone surrogate": (b'{"messageId":"\\ud800"}', Reason.NO_KEY),
    "NUL": (b'{"messageId":"a\x00b"}', Reason.NO_KEY),
    "only NUL": (b"\x00" * 60_000, Reason.NOT_JSON),
    "NaN": (b'{"messageId":NaN}', Reason.NOT_JSON),
    "two at once": (b'{"messageId":"a"},{"messageId":"b"}', Reason.NOT_JSON),
    "an end in the middle": (b'{"messageId":"a"}]},{"callbacks":[{', Reason.NOT_JSON),
    "array with a number": (b'[{"messageId":"a"},{"messageId":"b"},7]', Reason.NOT_OBJECT),
    "array of 101": (b"[" + b",".join([b'{"messageId":"a"}'] * 101) + b"]", Reason.NOT_OBJECT),
    "null": (b"null", Reason.NOT_OBJECT),
    "number": (b"1e5", Reason.NOT_OBJECT),
    "no key": (b'{"status":"Sent"}', Reason.NO_KEY),
    "fraction as key": (b'{"messageId":7.5}', Reason.NO_KEY),
    "10,000 deep": (b"[" * 10_000 + b"]" * 10_000, Reason.TOO_DEEP),
}

GOOD = '{"messageId":"a","message":"Γειά 😀"}'
REPAIRED = {
    "byte order mark": ("\ufeff" + GOOD).encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "half an emoji": GOOD.replace("😀", "\\ud83d").encode(),
    "not UTF-8": GOOD.encode() + b"\xff",
    "NUL behind it": GOOD.encode() + b"\0",
    "array of one": f"[{GOOD}]".encode(),
    "number as key": GOOD.replace('"a"', "7").encode(),
    "gzip that is not said": gzip.compress(GOOD.encode()),
    "1,022 deep": b'{"x":' + b"[" * 1021 + b"]" * 1021 + b"," + GOOD[1:].encode(),
}

ODD = {
    "duplicate keys": b'{"messageId":"a","messageId":"b","parts":1,"parts":1}',
    "huge integer": b'{"messageId":"a","n":' + b"9" * 300 + b"}",
    "escaped NUL": b'{"messageId":"a\\u0000b"}',
    "white space": b'\r\n\t {"messageId" : "a"}  \n',
    "an emoji": '{"messageId":"a","message":"😀"}'.encode(),
    "deep": b'{"messageId":"a","x":' + b"[" * 249 + b"]" * 249 + b"}",
    "long": b'{"messageId":"a","x":"' + b"[" * 60_000 + b'"}',
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_answered_and_found_in_rejected(server: Server, name: str) -> None:
    body, reason = GARBAGE[name]
    wire = await server.talk(post(body))
    reply = await wire.reply()
    assert (reply.status, reply.body) == (200, b"")
    (stored,) = server.rejections
    rejection = Rejection.model_validate(stored)
    assert rejection.reason is reason
    assert (rejection.body or "").encode() == body or b64decode(rejection.body_base64 or "") == body
    assert not server.callbacks
    assert await wire.is_open()


@pytest.mark.parametrize("name", REPAIRED)
async def test_a_body_that_is_not_quite_json_is_taken_with_the_bytes_that_came_beside_it(
    server: Server, name: str
) -> None:
    wire = await server.talk(post(b'{"messageId":"first"}') + post(REPAIRED[name]) + post(b'{"messageId":"last"}'))
    assert await wire.statuses(3) == [200, 200, 200]
    assert not server.rejections
    notes = []
    for _, records in sorted(server.log.records.items(), key=str):
        for record in records:
            envelope = Envelope.model_validate(orjson.loads(record.value))
            notes += [(envelope.callbacks[note.index]["messageId"], note) for note in envelope.repaired]
    ((key, note),) = notes
    assert key == ("7" if name == "number as key" else "a")
    assert b64decode(note.original or "") == REPAIRED[name]
    assert server.service.metrics.total("accepted") == 3
    assert server.service.metrics.total("repaired") == 1


async def test_plain_json_that_says_gzip_is_taken(server: Server) -> None:
    wire = await server.talk(post(GOOD.encode(), "Content-Encoding: gzip\r\n"))
    assert (await wire.reply()).status == 200
    assert server.callbacks == [orjson.loads(GOOD)]


async def test_each_callback_of_an_array_is_taken_by_itself(server: Server) -> None:
    parts = [b'{"messageId": "a",  "n": 1.50}', b'{"trackingId":"c"}', b'{"status":"Sent"}', b'{"messageId":7}']
    wire = await server.talk(post(b'{"messageId":"first"}') + post(b" [%s ]\n" % b" ,\r\n".join(parts)))
    assert await wire.statuses(2) == [200, 200]
    assert sorted(str(one.get("messageId") or one["trackingId"]) for one in server.callbacks) == [
        "7",
        "a",
        "c",
        "first",
    ]
    assert parts[0] in server.stored_bytes, "byte for byte"
    (rejection,) = server.rejections
    assert (rejection["reason"], rejection["body"]) == (Reason.NO_KEY, parts[2].decode())
    assert server.service.metrics.total("repaired") == 1


async def test_an_array_of_callbacks_whose_encoding_is_none_is_taken(server: Server) -> None:
    wire = await server.talk(post(b'[{"messageId":"a"},{"messageId":"b"}]', "Content-Encoding: utf-8\r\n"))
    assert (await wire.reply()).status == 200
    assert {one["messageId"] for one in server.callbacks} == {"a", "b"}


async def test_an_array_of_callbacks_is_answered_200_only_when_all_are_stored(server: Server) -> None:
    """The lane of one of them is stuck: the body comes again, and the stored ones are duplicates."""
    keys = [f"m{number}" for number in range(30)]
    body = orjson.dumps([{"messageId": key} for key in keys])
    stuck = server.service.publisher._raw[partition_of(keys[-1], len(server.service.publisher._raw))]
    stuck.dead = True
    wire = await server.talk(post(body) + post(b'{"messageId":"%s"}' % other_than(stuck, server).encode()))
    assert await wire.statuses(2) == [503, 200]
    stuck.dead = False
    wire = await server.talk(post(body))
    assert (await wire.reply()).status == 200
    assert {one["messageId"] for one in server.callbacks} >= set(keys)


@pytest.mark.parametrize("fails", [False, True])
async def test_an_array_is_answered_as_the_last_of_its_callbacks_ends(patient: Server, *, fails: bool) -> None:
    """All others are stored before it."""
    lanes = len(patient.service.publisher._raw)
    slow = partition_of("last", lanes)
    others = {key for number in range(30) if partition_of(key := f"m{number}", lanes) != slow}
    keys = ["last", *others]
    let_go, append = asyncio.Event(), patient.log.append

    async def slowly(topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        if partition == slow:
            await let_go.wait()
            if fails:
                raise NotStoredError("told to fail")
        await append(topic, records, partition)

    patient.log.append = slowly  # type: ignore[method-assign]
    wire = await patient.talk(post(orjson.dumps([{"messageId": key} for key in keys])))
    await eventually_async(lambda: {one["messageId"] for one in patient.callbacks} == others)
    let_go.set()
    assert (await wire.reply()).status == (503 if fails else 200)
    assert {one["messageId"] for one in patient.callbacks} == (others if fails else set(keys))


async def test_of_an_array_that_was_cut_by_its_client_no_callback_is_stored(server: Server) -> None:
    request = post(b",".join([b'[{"messageId":"a"}', b'{"messageId":"b"}', b'{"messageId":"c"}]']))
    begin = request.index(b"[")
    for end in (begin + 1, request.index(b"}") + 1, request.index(b"}") + 2, request.index(b'"b"'), len(request) - 1):
        wire = await server.talk(request[:end])
        await server.has_read()
        assert server.service.pending.size == end - begin
        await wire.close()
        await eventually_async(lambda: server.open_connections == 0)
        assert server.service.pending.size == 0
    wire = await server.talk(request)
    assert (await wire.reply()).status == 200
    assert [one["messageId"] for one in server.callbacks] == ["a", "b", "c"]


@pytest.mark.parametrize("fails", [False, True])
async def test_callbacks_of_an_array_whose_client_is_gone_are_settled_like_all_others(
    patient: Server, caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    keys = {f"m{number}" for number in range(30)}
    patient.log.hold()
    wire = await patient.talk(post(orjson.dumps([{"messageId": key} for key in sorted(keys)])))
    await eventually_async(lambda: patient.log.held > 0)
    wire.reset()
    await eventually_async(lambda: patient.open_connections == 0)
    other = await patient.talk(post(b'{"messageId":"other"}'))
    await patient.has_read()
    patient.log.failing = fails
    patient.log.release()
    assert (await other.reply()).status == (503 if fails else 200)
    await eventually_async(lambda: patient.service.pending.size == 0)
    assert {one["messageId"] for one in patient.callbacks} == (set() if fails else keys | {"other"})
    assert [record for record in caplog.records if record.exc_info] == []


def other_than(lane: Lane, server: Server) -> str:
    """Return a key whose callbacks another lane stores."""
    keys = (f"m{number}" for number in range(99))
    return next(key for key in keys if server.service.publisher.lane_for(key) is not lane)


async def test_a_secret_in_an_array_of_callbacks_is_masked(server: Server) -> None:
    bodies = [f'{{"messageId":"{key}","url":"https://a/{SECRET}"}}' for key in "ab"]
    wire = await server.talk(post(f"[{','.join(bodies)}]".encode()))
    assert (await wire.reply()).status == 200
    assert len(server.callbacks) == 2
    assert SECRET.encode() not in server.stored_bytes


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_but_valid_callback_is_taken_byte_for_byte(server: Server, name: str) -> None:
    body = ODD[name]
    wire = await server.talk(post(body))
    assert (await wire.reply()).status == 200
    assert body in server.stored_bytes
    assert len(server.callbacks) == 1
    assert not server.rejections


@pytest.mark.parametrize("body", [pytest.param(sample.read_bytes(), id=sample.name) for sample in SAMPLES])
async def test_every_sample_is_stored(server: Server, body: bytes) -> None:
    wire = await server.talk(post(body))
    assert (await wire.reply()).status == 200
    assert len(server.callbacks) + len(server.rejections) == 1


async def test_a_body_of_no_bytes_is_an_empty_one(server: Server) -> None:
    for request in (post(b""), chunked()):
        wire = await server.talk(request)
        assert (await wire.reply()).status == 200
        assert await wire.is_open()
    assert [rejection["detail"] for rejection in server.rejections] == ["the body is empty"] * 2


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"x"])
async def test_a_body_that_does_not_inflate_is_rejected_as_it_came(server: Server, body: bytes) -> None:
    wire = await server.talk(post(body, "Content-Encoding: gzip\r\n"))
    assert (await wire.reply()).status == 200
    (rejection,) = server.rejections
    assert rejection["reason"] == "not-json"
    assert (rejection["body"] or "").encode() == body or b64decode(rejection["body_base64"]) == body


async def test_garbage_inside_gzip_is_rejected_inflated(server: Server) -> None:
    wire = await server.talk(post(gzip.compress(b"hello"), "Content-Encoding: gzip\r\n"))
    assert (await wire.reply()).status == 200
    assert server.rejections[0]["body"] == "hello"


@pytest.mark.parametrize(
    "url",
    [
        f"https://x.example{PATH}",
        f"https://x.example{PATH}".replace("/", "\\/"),
        "https://x.example/callbacks/" + "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
        "https://x.example/callbacks/" + "".join(f"%{ord(letter):02X}" for letter in SECRET),
    ],
)
async def test_the_echoed_secret_is_stored_nowhere(server: Server, url: str) -> None:
    report = b'{"trackingId":"t","callbackInfo":{"url":"%s","strategy":"OnChange"}}' % url.encode()
    wire = await server.talk(post(report) + post(report[:-1]) + post(report + b"\xff"))
    assert await wire.statuses(3) == [200, 200, 200]
    assert server.callbacks[0]["callbackInfo"] == {"url": "https://x.example/callbacks/***", "strategy": "OnChange"}
    assert server.callbacks[1] == server.callbacks[0]
    (rejection,) = server.rejections
    ((note,),) = [
        found["repaired"]
        for (topic, _), records in server.log.records.items()
        if topic == CALLBACKS_RAW.suffix
        for found in (orjson.loads(record.value) for record in records)
        if "repaired" in found
    ]
    for kept in (server.stored_bytes, rejection["body"].encode(), b64decode(note["original"])):
        assert SECRET.encode() not in kept
        assert b"callbacks/***" in kept.replace(b"\\/", b"/")


async def test_mutated_callbacks_end_up_in_the_one_topic_or_the_other(server: Server) -> None:
    chance = random.Random(7)  # noqa: S311 - a seed that repeats
    bodies = [sample.read_bytes() for sample in SAMPLES]
    posted = [mutated(chance, chance.choice(bodies)) for _ in range(2_000)]
    wire = await server.connect()
    for start in range(0, len(posted), 50):
        await wire.send(b"".join(map(post, posted[start : start + 50])))
        assert await wire.statuses(50) == [200] * 50
    assert len(server.callbacks) + len(server.rejections) == len(posted)
    for callback in server.callbacks:
        assert orjson.loads(orjson.dumps(callback)) == callback
