"""The fate of each refused callback: the same bytes go back, three times at most, and no erased person does."""

import gzip
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from ingest.callback.envelope import seal
from ingest.redrive.fates import Fate, Refused, judged, raw_of, refused_of, told_by
from streams.contract.erasures import Erasures, Marks
from streams.contract.records import Envelope, Erasure, Reason, Source
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Ending
from tests.support.memory_rows import MemoryRows
from tests.unit.ingest.redrive.refused import (
    NOON_MS,
    body_of,
    posted,
    redriven,
    refused,
    rejected_by_ingest,
    rejected_by_streams,
)

NONE = Erasures()
MARKS = Marks(b"k" * 32)


def erased_at(moment: datetime, recipient: str = "+306900000001") -> Erasures:
    erasures = Erasures(MARKS)
    erasures.add(Erasure(mark=MARKS.of(recipient) or "", at=moment, key_id=MARKS.key_id))
    return erasures


def test_the_bytes_of_a_redacted_rejection_come_from_its_place() -> None:
    """The rejection has no number and no text; the record of callbacks.raw has every byte."""
    body = body_of(1)
    found = refused_of((3, 9), rejected_by_streams(body, (1, 5, 1)))
    assert found is not None
    assert (found.place, found.body, found.first_received_at_ms) == ((1, 5, 1), None, NOON_MS)
    told = judged(*told_by(found, raw_of(posted(b"{}", body))), set(), NONE)
    assert (told.fate, told.key, told.body) == (Fate.REDRIVE, "m-1", body)


def test_a_body_that_ingest_refused_is_read_as_ingest_reads_it_today() -> None:
    """One that it repairs by now goes back repaired, one that is none is left to be corrected, with the reason."""
    by_now = refused_of((0, 1), rejected_by_ingest(b"\xef\xbb\xbf" + body_of(2)))
    never = refused_of((0, 2), rejected_by_ingest(b"no callback"))
    assert by_now is not None
    assert never is not None
    told = judged(by_now, by_now.body, set(), NONE)
    assert (told.fate, told.body) == (Fate.REDRIVE, body_of(2))
    told = judged(never, never.body, set(), NONE)
    assert told.fate is Fate.NO_CALLBACK
    assert told.why.startswith("not-json: ")


@pytest.mark.parametrize(
    ("value", "attempts", "fate"),
    [
        (posted(body_of(1)), 0, Fate.REDRIVE),
        (redriven(body_of(1), attempt=1), 1, Fate.REDRIVE),
        (redriven(body_of(1), attempt=2), 2, Fate.REDRIVE),
        (redriven(body_of(1), attempt=3), 3, Fate.TRIED),
        (redriven(body_of(1), attempt=4), 4, Fate.TRIED),
        (posted(body_of(1)).replace(b'"redrive"', b'"x"'), 0, Fate.REDRIVE),
        (b"no envelope", 0, Fate.NO_CALLBACK),
        (body_of(1), 0, Fate.REDRIVE),  # a callback that lies on the topic without an envelope
        (None, 0, Fate.GONE),
        (b"", 0, Fate.ERASED),  # its bytes are as gone as those of an erased one
        (b'{"received_at":"2026-11-22T12:00:00Z","callbacks":[{}],"erased":[0]}', 0, Fate.ERASED),
        (b'{"received_at":"2026-11-22T12:00:00Z","callbacks":[]}', 0, Fate.GONE),
    ],
)
def test_the_record_at_its_place_decides(value: bytes | None, attempts: int, fate: Fate) -> None:
    found, body = told_by(refused(), raw_of(value))
    told = judged(found, body, set(), NONE)
    assert (found.attempts, told.fate) == (attempts, fate)


def test_a_callback_that_says_redrive_in_its_text_is_none() -> None:
    """The envelope decides, not a word in a body."""
    raw = raw_of(posted(body_of(1, message='"source":"redrive","rejected":[[0,1]]')))
    assert raw is not None
    assert (raw.attempt, raw.rejected) == (0, ())


def test_redriven_callbacks_are_told_by_the_envelopes_themselves() -> None:
    raw = raw_of(redriven(body_of(1), body_of(2), rejected=((0, 7), (2, 3))))
    assert raw is not None
    done = set(raw.rejected)
    assert [judged(refused(at), body_of(1), done, NONE).fate for at in ((0, 7), (2, 3), (0, 8))] == [
        Fate.DONE, Fate.DONE, Fate.REDRIVE,
    ]  # fmt: skip


def test_an_erasure_after_the_first_receipt_keeps_a_callback_out() -> None:
    """Of that recipient, and as long as the callback was received, or dated, before it: no later one, no other."""
    noon = datetime.fromtimestamp(NOON_MS / 1000, UTC)
    later, earlier = noon.replace(hour=13), noon.replace(hour=1)
    dated_later = body_of(1, at="2026-11-23T09:00:00Z")
    assert judged(refused(), body_of(1), set(), erased_at(later)).fate is Fate.ERASED
    assert judged(refused(), body_of(1), set(), erased_at(earlier)).fate is Fate.REDRIVE
    assert judged(refused(), dated_later, set(), erased_at(later)).fate is Fate.ERASED
    assert judged(refused(), body_of(1), set(), erased_at(later, "+306900000009")).fate is Fate.REDRIVE
    for moment in ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00"):
        assert judged(refused(), body_of(1, at=moment), set(), erased_at(earlier)).fate is Fate.ERASED


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"{}",
        b'{"received_at":"soon"}',
        orjson.dumps({"received_at": "2026-11-22T12:00:00Z"}),
        b"\xff",
    ],
)
def test_a_record_that_is_no_rejection_is_passed_over(value: bytes | None) -> None:
    assert refused_of((0, 0), value) is None


def test_a_rejection_that_withholds_the_bytes_of_ingest_leaves_nothing() -> None:
    """A one-time code is not kept: then nothing can go back."""
    record = orjson.loads(rejected_by_ingest(b"{}", Reason.NO_KEY)) | {"redacted": True}
    found = refused_of((0, 0), orjson.dumps(record))
    assert found is not None
    assert judged(found, found.body, set(), NONE).fate is Fate.GONE


def test_an_envelope_of_redriven_callbacks_follows_the_contract() -> None:
    envelope = Envelope.model_validate_json(redriven(body_of(1), attempt=2, rejected=((4, 8),)))
    assert (envelope.source, envelope.attempt, envelope.rejected) == ("redrive", 2, [[4, 8]])
    assert envelope.first_received_at == datetime.fromtimestamp(NOON_MS / 1000, UTC)


COVERS = [gzip.compress, b64encode, lambda body: body.decode().encode("utf-16"), lambda body: b"\xef\xbb\xbf" + body]


@pytest.mark.parametrize("cover", COVERS, ids=["gzip", "base64", "utf-16", "bom"])
@pytest.mark.parametrize("is_whole", [True, False], ids=["callback", "fragment"])
def test_an_erased_person_does_not_come_back_out_of_a_cover(cover: Callable[[bytes], bytes], is_whole: bool) -> None:  # noqa: FBT001
    """Neither stored again nor exported, and so with a callback of a file, whose bytes are judged in the same way."""
    body = cover(body_of(1) if is_whole else b'{"to":"+306900000001"}')
    ingested = refused()._replace(place=None)
    told = judged(ingested, body, set(), erased_at(datetime(2026, 11, 28, tzinfo=UTC)))
    assert (told.fate, told.body) == (Fate.ERASED, b"")
    of_another = judged(ingested, body, set(), erased_at(datetime(2026, 11, 28, tzinfo=UTC), "+306900000009"))
    assert of_another.fate is (Fate.REDRIVE if is_whole else Fate.NO_CALLBACK)


@pytest.mark.parametrize("cover", [bytes, *COVERS], ids=["plain", "gzip", "base64", "utf-16", "bom"])
def test_a_one_time_code_is_neither_stored_again_nor_exported(cover: Callable[[bytes], bytes]) -> None:
    code = body_of(1, originatingService="TwoStep", message="482913 is your code")
    told = judged(refused(), cover(code), set(), NONE)
    assert (told.fate, told.body) == (Fate.CODE, b"")
    assert judged(refused(), body_of(1, message="please verify the passcode"), set(), NONE).fate is Fate.REDRIVE


def refused_whole(value: bytes, ended: Ending | None = None) -> Refused:
    """Return the refusal of streams of a whole record."""
    (piece,) = SmsStage(Policy()).apply(MemoryRows(), 1, 5, value, 0, ended)
    (output,) = piece.outputs
    found = refused_of((0, 0), output.value)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("callbacks", "fate"), [([body_of(1)], Fate.REDRIVE), ([body_of(1), body_of(2)], Fate.WHOLE)], ids=["one", "two"]
)
def test_a_record_that_was_refused_whole_is_no_single_callback(
    callbacks: list[bytes], fate: Fate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its one rejection stands for all: one that went back would take the others for done."""
    value = posted(*callbacks)
    unreadable = value.replace(b"2026-", b"soon-")
    told = judged(*told_by(refused_whole(unreadable), raw_of(unreadable, {0})), set(), NONE)
    assert told.fate is fate
    assert judged(*told_by(refused(), raw_of(unreadable, {0})), set(), NONE).fate is Fate.REDRIVE

    def no_memory(_: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr("streams.domain.sms_stage.open_envelope", no_memory)
    told = judged(*told_by(refused_whole(value, Ending(5, None, 3)), raw_of(value, {0})), set(), NONE)
    assert told.fate is fate


def test_a_record_too_deep_to_be_read_is_no_single_callback() -> None:
    deep = posted(b'{"messageId":"m-1","x":%s}' % (b"[" * 60_000 + b"]" * 60_000), body_of(2))
    assert judged(*told_by(refused_whole(deep), raw_of(deep, {0})), set(), NONE).fate is Fate.WHOLE


@pytest.mark.parametrize("body", [body_of(1, at=None), body_of(1)], ids=["undated", "dated"])
def test_a_pulled_status_is_left_to_the_backfill(body: bytes) -> None:
    """Redriven as posted it would begin a forgotten message anew, which is counted twice then."""
    pulled = seal([body], [""], NOON_MS, source=Source.PULL).value
    assert judged(*told_by(refused(), raw_of(pulled)), set(), NONE).fate is Fate.PULLED


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("rejected", [1]), ("rejected", [[[], 1]]), ("rejected", [[1]]), ("rejected", [[1, 2, 3]]), ("rejected", {}),
        ("rejected", [[0.5, 1]]), ("rejected", "x"), ("erased", [{}]), ("erased", [[0]]), ("erased", "0"),
        ("erased", 0), ("attempt", {}), ("attempt", -7), ("attempt", "2"), ("attempt", 1e300), ("source", []),
    ],
)  # fmt: skip
def test_a_field_of_a_foreign_form_counts_as_missing(field: str, told: Any) -> None:  # noqa: ANN401 - JSON is any
    record = orjson.loads(redriven(body_of(1))) | {field: told}
    raw = raw_of(orjson.dumps(record))
    assert raw is not None
    assert raw.rejected == (() if field in {"rejected", "source"} else ((0, 0),))
    assert (raw.erased, raw.attempt) == (frozenset(), 0 if field == "source" else 1)


def test_of_an_envelope_only_the_asked_callbacks_are_kept() -> None:
    raw = raw_of(posted(*map(body_of, range(5))), {1, 3, 9})
    assert raw is not None
    assert raw.bodies == {1: body_of(1), 3: body_of(3)}
