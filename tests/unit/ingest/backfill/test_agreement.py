"""
The backfill judges news by records alone, and streams by callbacks: both tell the same of every status of Routee's.
"""

from typing import Any, Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.backfill.known import Known
from ingest.backfill.tracking import FinalsRule, Tracked, tracked
from streams.domain.policy import Policy
from tests.builders import ABSENT, MESSAGE_ID, NOW, without_absent
from tests.unit.streams.domain.pipeline import Pipeline

FINALS: Final = ["Delivered", "Undelivered", "Failed", "Unsent", "DELIVERED"]
WORDS: Final = ["Queued", "Sent", *FINALS, "\u200bSent ", "Other", "Else"]
DATES: Final = [
    *("2026-11-22T09:16:54Z", "2026-11-22T11:16:54+02:00", "2026-11-22T09:16:54.95Z", "2026-11-22 09:16:55 UTC"),
    *("1795339016", 1795339017000, "Sun, 22 Nov 2026 09:16:58 GMT"),
]
NO_DATES: Final = [None, "2026-11-22T09:17:01", "soon"]


@st.composite
def told(draw: st.DrawFn, parts: int) -> dict[str, Any]:
    """Draw the telling of an SMS: its ids in any form, a status and a date; only finals may lack one."""
    part = draw(st.integers(1, parts))
    numbers = [part, str(part), float(part), f"{part}.0", f" {part} "]
    word = draw(st.sampled_from(WORDS))
    return {
        "messageId": draw(st.sampled_from([MESSAGE_ID, MESSAGE_ID.upper()])),
        "smsId": draw(st.sampled_from([f"{MESSAGE_ID}-{part}", f"{MESSAGE_ID}-{part}".upper(), ABSENT])),
        "part": draw(st.sampled_from([*numbers, ABSENT] if part == 1 else numbers)),
        "parts": parts,
        "word": word,
        "date": draw(st.sampled_from([*DATES, *NO_DATES] if word in FINALS else DATES)),
    }


def callback(given: dict[str, Any]) -> dict[str, Any]:
    status = {"name": given["word"], "updatedDate": given["date"]}
    return without_absent({**given, "status": status, "word": ABSENT, "date": ABSENT})


def found_in(given: dict[str, Any]) -> Tracked:
    status = {"status": given["word"], "date": given["date"]}
    found = tracked(without_absent({**given, "status": status, "word": ABSENT, "date": ABSENT}))
    assert not isinstance(found, str)
    return found


def statuses(pipeline: Pipeline) -> dict[str, str]:
    return {sms["sms_key"]: sms["status"] for sms in pipeline.message()["sms"]}


def known_of(pipeline: Pipeline, finals: FinalsRule) -> Known:
    known = Known(0, finals)
    for record in pipeline.revisions:
        known.take_sms(record)
    return known


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 3), st.sampled_from(["latest", "first"]))
def test_a_status_is_news_when_it_moves_its_sms_and_never_twice(
    data: st.DataObject, parts: int, finals: FinalsRule
) -> None:
    pipeline = Pipeline(Policy(conflicting_finals=finals))
    for given_callback in data.draw(st.lists(told(parts), min_size=1, max_size=4)):
        pipeline.send(callback(given_callback))
    found = found_in(data.draw(told(parts)))
    before, healed = statuses(pipeline), known_of(pipeline, finals).healing(found)
    envelope = {"received_at": NOW, "callbacks": [orjson.loads(found.body)], "source": "pull"}
    pipeline.take_in(0, len(pipeline.log), orjson.dumps(envelope))
    assert (healed is not None) == (statuses(pipeline) != before)
    assert known_of(pipeline, finals).healing(found) is None
