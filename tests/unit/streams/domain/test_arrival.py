"""
The final row of an SMS is a function of the set of distinct bodies: no order, repetition or clock of ours decides.

Bodies go as bytes through envelopes and the stage. Fields that tell of the arrival itself are not compared.
"""

import itertools
import random
from collections.abc import Sequence
from typing import Any, Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.dates import NO_DATE
from streams.contract.topics import DELIVERY_PARTIALS, SMS_STATUS
from streams.domain.message import find_message, message_key
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from tests.builders import ABSENT, MESSAGE_ID, NOW, without_absent
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import now

ARRIVAL: Final = {
    *("sms_key", "revision", "previous_status", "first_received_at", "received_at"),
    *("partition", "offset", "index", "generation", "message_id"),
    *("message_previous_status", "message_revision"),
    *("sending_at", "sent_from"),
}
"""The fields of a record that depend on its arrival, too; `status_updated_at` does, too, of a status without a date."""

CLOCKS: Final = [
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.000Z",
    "1999-01-01T00:00:00.000Z",
    "2026-11-22T09:11:54.000Z",
    "2026-11-22T09:16:54.000Z",
    "2026-11-22T12:00:00.000Z",
    "2026-11-22T13:04:59.999Z",
    "2026-12-29T12:00:00.000Z",
    "2098-12-31T23:59:59.999Z",
    "2099-06-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
]

WORDS: Final = [
    *("Queued", "Sent", "Delivered", "Undelivered", "Failed", "Unsent"),
    *("delivered", " Delivered ", "\u200bSENT", "Network Error", "network error", "Buffered"),
]

DATES: Final = [
    *(None, "", ABSENT),
    *("2026-11-22T09:16:54Z", "2026-11-22T09:16:54.000Z", "2026-11-22T12:16:54+03:00", "1795339014", 1_795_339_014),
    *("2026-11-22T09:16:54.5Z", "2026-11-22T12:05:20Z", "2026-11-22T13:00:00Z", "2026-11-25T00:00:00Z"),
    *(
        "Sun, 22 Nov 2026 09:16:54 GMT",
        "/Date(1795339014000)/",
        "2026-11-22T23:16:54+14:00",
        "2026-11-21T21:16:54-12:00",
    ),
    *("2026-11-21T24:00:00Z", "2026-11-21T23:59:60Z", "2026-11-22T09:16:54", "yesterday", True, [2026, 11, 22]),
    *("2026-12-22T00:00:00Z", "2099-01-01T00:00:00Z", "2106-02-07T06:28:15Z", "1999-01-01T00:00:00Z"),
]

FIELDS: Final[dict[str, list[Any]]] = {
    "label": ["a", "b", 5, "5", "", ABSENT],
    "operator": ["Cosmote", "Vodafone", None],
    "latency": [0, 3, 3.0, "3", 2.5, -0.0, "soon", ABSENT],
    "price": [0.01, "0.0100", 0.02, "dear", "0,02", -1, 1e308, ABSENT],
    "groups": [["x"], ["y"], ["x", "y"], "x", [], ABSENT],
    "campaignTrackingId": ["c-1", "C-1", "c-2", "null", ABSENT],
    "message": ["Your code is 2622", "Hello", ABSENT],
    "originatingService": ["Sms", "TwoStep", "twostep", ABSENT],
    "to": ["+306900000001", "306900000001", ABSENT],
    "parts": [1, "2", 3.0, ABSENT],
    "extra": [1, [], {}, ABSENT],
    "reason": [{"detailedStatus": "Expired"}, {"detailedStatus": "A", "description": "text"}, "words", None, ABSENT],
}

POLICIES: Final = st.sampled_from(
    [
        Policy(),
        Policy(conflicting_finals="first"),
        Policy(recipient="hmac", hmac_key="k" * 16, message_text="drop", conflicting_finals="first"),
        Policy(recipient="mask", retention_hours=48),
    ]
)


@st.composite
def bodies_of_a_message(draw: st.DrawFn, most_sms: int, most: int) -> list[bytes]:
    """
    Draw distinct bodies of one message that differ in a few words, dates and fields, so that many of them tie.

    Each part has one smsId in any case, and each of its bodies tells the smsId, the part or both; a part that is not
    told is the first.
    """
    statuses = draw(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(DATES)), min_size=1, max_size=4))
    varied = draw(st.lists(st.sampled_from([*FIELDS]), max_size=2, unique=True))
    fields = {name: FIELDS[name] if name in varied else [draw(st.sampled_from(FIELDS[name]))] for name in FIELDS}
    made = []
    for _ in range(draw(st.integers(1, most))):
        part = draw(st.integers(1, most_sms))
        drawn = {name: draw(st.sampled_from(values)) for name, values in fields.items()}
        word, date = draw(st.sampled_from(statuses))
        status = without_absent({"name": word, "updatedDate": date, "reason": drawn.pop("reason")})
        body = {
            "messageId": draw(st.sampled_from([MESSAGE_ID, MESSAGE_ID.upper()])),
            "smsId": draw(st.sampled_from([f"sms-{part}", f"SMS-{part}", ABSENT])),
            "part": draw(st.sampled_from([part, str(part), *([ABSENT] if part == 1 else [])])),
            "status": draw(st.sampled_from([status, status, orjson.dumps(status).decode()])),
            **drawn,
        }
        made.append(orjson.dumps(without_absent(body)))
    return list(dict.fromkeys(made))


def rows_after(bodies: Sequence[bytes], clocks: Sequence[str], policy: Policy) -> bytes:
    """
    Return the final rows of the message's SMS as JSON, without their arrival; each body is received at its own clock.

    As JSON, because 3 and 3.0, which are equal, differ there.
    """
    stage, rows, published = SmsStage(policy), MemoryRows(), {}
    for offset, (body, clock) in enumerate(zip(bodies, clocks, strict=True)):
        value = b'{"received_at":"%s","callbacks":[%s]}' % (clock.encode(), body)
        for output in outputs_of(stage.apply(rows, 0, offset, value)):
            assert output.topic in (SMS_STATUS, DELIVERY_PARTIALS), output.value
            if output.topic is SMS_STATUS:
                published[output.key] = orjson.loads(output.value)
    message = find_message(rows, message_key(MESSAGE_ID))
    assert message is not None
    assert {sms.key.encode() for sms in message.parts} == published.keys()
    found = [
        without_arrival(now(published[key], [*published.values()]), is_dated=is_dated)
        for key, is_dated in ((sms.key.encode(), sms.date != NO_DATE) for sms in message.parts)
    ]
    return b"".join(sorted(map(orjson.dumps, found)))


def without_arrival(record: dict[str, Any], *, is_dated: bool) -> dict[str, Any]:
    hidden = ARRIVAL if is_dated else ARRIVAL | {"status_updated_at"}
    return {name: value for name, value in record.items() if name not in hidden}


QUICK: Final = settings(max_examples=100, deadline=None)
CHANCE: Final = st.randoms(use_true_random=False)


@QUICK
@given(bodies_of_a_message(most_sms=1, most=4), POLICIES, CHANCE)
def test_every_permutation_of_the_bodies_ends_in_the_same_row_with_any_clocks(
    bodies: list[bytes], policy: Policy, chance: random.Random
) -> None:
    expected = rows_after(bodies, [NOW] * len(bodies), policy)
    for order in itertools.permutations(bodies):
        found = rows_after(order, chance.choices(CLOCKS, k=len(order)), policy)
        assert found == expected


@QUICK
@given(bodies_of_a_message(most_sms=2, most=10), POLICIES, CHANCE)
def test_any_order_and_any_duplication_end_in_the_same_rows_with_any_clocks(
    bodies: list[bytes], policy: Policy, chance: random.Random
) -> None:
    expected = rows_after(bodies, [NOW] * len(bodies), policy)
    arrivals = [*bodies, *chance.choices(bodies, k=2 * len(bodies))]
    chance.shuffle(arrivals)
    found = rows_after(arrivals, chance.choices(CLOCKS, k=len(arrivals)), policy)
    assert found == expected
