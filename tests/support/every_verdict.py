"""
A load with every verdict of `track_sms`, the same for the same seed, and a digest of all that the rules make of it.

A change that is to make the rules cheaper, and nothing else, leaves the digest as it is.
"""

import random
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson

from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.tally import TALLY_KEY, Tally
from streams.state.rows import endings
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.reserved_keys import ENDING
from streams.state.rows.throttle import Throttle
from tests.builders import ABSENT, campaign_report, sms_callback, without_absent

POLICIES: Final = (
    Policy(),
    Policy(recipient="mask", message_text="drop"),
    Policy(recipient="hmac", hmac_key="k" * 16, conflicting_finals="first"),
    Policy(recipient="drop", retention_hours=24),
)

_LIVES: Final = (
    (("Delivered", 4),),
    (("Queued", 1), ("Sent", 2), ("Delivered", 4)),
    (("Sent", 2), ("Undelivered", 5), ("Delivered", 5)),
    (("Queued", 1), ("Failed", 3), ("Delivered", 3), ("Failed", 9)),
    (("Foo", 3), (" delivered", 9)),
)
_TEXTS: Final = ('Γειά σου "κόσμε" \\ /\u2028', "plain", "tab\tline\n", "emoji 😀", "", "x" * 4097)
_FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"messageId": ABSENT},
    {"messageId": ""},
    {"messageId": 12},
    {"status": 7},
    {"status": {"name": ""}},
    {"status": {"name": "x" * 65, "updatedDate": 5}},
    {"type": "Viber"},
    {"duration": 3, "smsId": ABSENT, "parts": ABSENT},
)
_ODDITIES: Final[tuple[dict[str, Any], ...]] = (
    {"smsId": ABSENT},
    {"smsId": ABSENT, "part": ABSENT, "parts": ABSENT},
    {"smsId": ""},
    {"part": "2", "parts": "3"},
    {"part": 0},
    {"parts": 256},
    {"price": None},
    {"price": "0.10"},
    {"price": 3},
    {"price": -1},
    {"price": "x"},
    {"price": 0.123456789},
    {"price": 10**10},
    {"price": 2**63},
    {"latency": 1.5},
    {"latency": 12.0},
    {"latency": "2"},
    {"latency": 1e300},
    {"latency": None},
    {"groups": None},
    {"groups": []},
    {"groups": ["a", "b"]},
    {"groups": "x"},
    {"groups": ["a", ""]},
    {"label": 5},
    {"to": "+3069"},
    {"to": None},
    {"operator": ""},
    {"country": "x" * 257},
    {"message": None},
    {"originatingService": "TwoStep"},
    {"originatingService": "twostep", "message": "code 1234"},
    {"originatingService": None},
    {"campaignTrackingId": None},
    {"campaignTrackingId": ABSENT, "campaignName": ABSENT},
    {"campaignName": "Other sale"},
    {"status": "Delivered"},
    {"status": {"name": "Sent"}},
    {"status": {"name": "Delivered", "updatedDate": "yesterday"}},
    {"status": {"name": "Delivered", "updatedDate": 1795338984}},
    {"status": {"name": "Sent", "updatedDate": "2026-12-24T09:00:00Z"}},
    {"status": {"name": "Sent", "updatedDate": "2026-11-22T09:16:54Z", "reason": "odd"}},
    {"status": {"name": "Sent", "updatedDate": "2026-11-22T09:16:54Z", "reason": {"detailedStatus": 3}}},
    {"unknown": {"a": [1, 2]}},
)
# Where each ends is known, so that the others of its envelope can be read.
_UNREADABLE: Final = (
    b"7",
    b"null",
    b"[]",
    b"{}",
    b'{"trackingId":"t"}',
    b'{"messageId":"message-01","status":{"name":"Sent"},"x":1e999}',
    b'{"messageId":"message-02","status":{"name":"Sent"},"x":"\\ud800"}',
    b'{"messageId":"message-03","status":{"name":"Sent"},"x":01}',
    b'{"messageId":"message-04","messageId":"message-05","status":{"name":"Sent"}}',
    b'{"messageId":"message-06","status":{"name":"Sent"},"price":99999999999999999999,"latency":1e-400}',
)
_NOT_ENVELOPES: Final = (
    b"no JSON",
    b"[]",
    b'{"received_at":"2026-11-22","callbacks":[]}',
    b'{"received_at":"2026-11-22T10:00:00Z","callbacks":{}}',
    b'{"received_at":"2026-11-22T10:00:00Z"}',
)


def verdict_load(seed: int, messages: int = 60) -> list[bytes]:
    """Return raw records: callbacks of all kinds, shuffled, repeated, late, repaired, and records that are none."""
    chance = random.Random(seed)  # noqa: S311 - the same load in every run
    bodies = [body for number in range(messages) for body in _life(chance, number)]
    bodies += [orjson.dumps(sms_callback(at="2026-11-01T09:00:00Z", message_id=f"late-{seed}-{n}")) for n in range(3)]
    bodies += [*_UNREADABLE, *map(orjson.dumps, _reports(chance))]
    chance.shuffle(bodies)
    bodies += chance.choices(bodies, k=len(bodies) // 5)
    records = [*_NOT_ENVELOPES]
    hour = 0
    while bodies:
        size = chance.choice([1, 2, 7, 20, 50])
        some, bodies = bodies[:size], bodies[size:]
        hour += chance.random() < 0.1
        records.insert(chance.randrange(len(records) + 1), _envelope(chance, some, 10 + hour))
    return records


def _life(chance: random.Random, number: int) -> Iterator[bytes]:
    message = str(UUID(int=chance.getrandbits(128)))
    parts = chance.choice([1, 1, 1, 2, 2, 3])
    for part in range(1, parts + 1):
        sms = chance.choice([message[::-1][:-1] + str(part), message if parts == 1 else ABSENT])
        for status, second in chance.choice(_LIVES):
            yield _body(chance, number, message, sms, status, second, part, parts)


def _body(  # noqa: PLR0917 - what a callback is made of
    chance: random.Random,
    number: int,
    message: str,
    sms: Any,  # noqa: ANN401 - a text, or ABSENT
    status: str,
    second: int,
    part: int,
    parts: int,
) -> bytes:
    minute = number % 60
    at = chance.choice([f"2026-11-22T09:{minute:02}:{second:02}.000Z", f"2026-11-22T11:{minute:02}:{second:02}+02:00"])
    fields: dict[str, Any] = {"message": chance.choice(_TEXTS)}
    draw = chance.random()
    if draw < 0.3:
        fields |= chance.choice(_ODDITIES)
    elif draw > 0.96:
        fields |= chance.choice(_FAULTS)
    reason = chance.choice([ABSENT, None, {"detailedStatus": status, "description": "d"}, {"description": ""}])
    campaign = f"c0ffee00-0000-4000-8000-{number % 5:012}"
    identity = {
        "message_id": chance.choice([message, message.upper()]) if draw < 0.05 else message,
        "sms_id": sms.upper() if sms is not ABSENT and draw > 0.94 else sms,
    }
    body = sms_callback(status, at, campaign=campaign, part=part, parts=parts, reason=reason, **identity)
    option = orjson.OPT_INDENT_2 if draw > 0.98 else None
    return orjson.dumps(without_absent(body | fields), option=option)


def _reports(chance: random.Random) -> Iterator[dict[str, Any]]:
    for total in range(8):
        status = chance.choice(["Running", "Finished", "odd", 3])
        yield campaign_report(status, {"Delivered": total}, total=chance.choice([total, "x"]))
    yield campaign_report(campaign="")


def _envelope(chance: random.Random, bodies: list[bytes], hour: int) -> bytes:
    day, hour = 22 + hour // 24, hour % 24
    begin = f'{{"received_at":"2026-11-{day}T{hour:02}:{chance.randrange(60):02}:00.000Z","callbacks":['
    end = b"]}"
    if chance.random() < 0.2:
        end = b'],"repaired":[{"index":0,"repairs":["quotes","new"],"original":"eyd9"},{"index":1,"repairs":[]}]}'
    return begin.encode() + b",".join(bodies) + end


class Digest:
    """All outputs, rows and positions of one partition, as one hash; and the totals of its verdicts."""

    def __init__(self, policy: Policy) -> None:
        self._hash = sha256()
        self._store: dict[bytes, bytes | None] = {}
        self._partition = self._opened(policy)
        self._policy = policy

    def _opened(self, policy: Policy) -> Partition:
        return Partition(0, SmsStage(policy), self._store.get, Throttle(0.25), Origin("topic"))

    def take_in(self, records: list[bytes]) -> None:
        """Take in all records, with a checkpoint after every few; and one that ended its workers."""
        for offset, record in enumerate(records):
            if offset == len(records) // 2:
                self._end_workers(offset)
            for size in self._partition.take_in(offset, record):
                self._hash.update(b"%d" % size)
            if offset % 4 == 3 or offset == len(records) - 1:
                self._seal(offset / 3)

    def _end_workers(self, offset: int) -> None:
        self._seal(offset / 3)
        ending = self._partition.ending(offset, 0)._replace(times=endings.MAX_ENDINGS)
        self._store[ENDING] = endings.written(ending)
        self._partition = self._opened(self._policy)

    def _seal(self, now: float) -> None:
        checkpoint = self._partition.seal(now)
        for one in checkpoint.outputs:
            self._hash.update(repr((one.topic.suffix, one.key, one.value, [*one.headers])).encode())
        for key, row in sorted(checkpoint.rows.items()):
            self._hash.update(repr((key, row)).encode())
        self._store.update(checkpoint.rows)

    @property
    def hex(self) -> str:
        """The digest so far."""
        return self._hash.hexdigest()

    @property
    def tally(self) -> Tally:
        """The totals of the partition."""
        tally: Tally = orjson.loads(self._store[TALLY_KEY] or b"")
        return tally
