"""
The expected output of the toy pipeline, worked out without Kafka, and the comparison with its actual output.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any
from zlib import crc32

import orjson

from streams.state.rows.overlay import Overlay
from streams.state.rows.reserved_keys import HELD
from tests.support.memory_rows import outputs_of
from tests.support.pipeline.toy import ToySmsStage, total

Record = tuple[int, bytes]
"""Partition and value of one source record."""

Records = Sequence[tuple[int, bytes | None, bytes | None]]
"""Partition, key and value of each record, in order of offset within each partition."""

_Event = tuple[float, str, int]
"""When, whose and which level."""

_LEVELS = (1, 2, 3)
_KEYS_AT_A_TIME = 50
_GROUPS = 5


def traffic(seed: int, keys: int, partitions: int, events_per_record: int = 20, *, row_bytes: int = 0) -> list[Record]:
    """
    Return source records in order: levels rise, with duplicates and disorder; a key stays in one partition.

    The rows of the keys are at least `row_bytes` long.
    """
    rnd = random.Random(seed)  # noqa: S311 - traffic, the same for a seed
    events: list[_Event] = []
    for name in (f"k{seed}-{number}" for number in range(keys)):
        events += _rising(rnd, name, rnd.uniform(0, keys / _KEYS_AT_A_TIME))
    return list(_records(sorted(events), partitions, events_per_record, row_bytes))


def endless_traffic(seed: int, partitions: int, events_per_record: int = 20, *, row_bytes: int = 0) -> Iterator[Record]:
    """Yield such records without end, for tests that wait under load."""
    rnd = random.Random(seed)  # noqa: S311 - as above
    return _records(_endless_events(rnd, seed), partitions, events_per_record, row_bytes)


def _endless_events(rnd: random.Random, seed: int) -> Iterator[_Event]:
    waiting: list[_Event] = []
    for number in count():
        began = number / _KEYS_AT_A_TIME
        for event in _rising(rnd, f"endless{seed}-{number}", began):
            heappush(waiting, event)
        # No key that begins later has an event before this one.
        while waiting and waiting[0][0] < began:
            yield heappop(waiting)


def _rising(rnd: random.Random, name: str, began: float) -> Iterator[_Event]:
    for level in _LEVELS:
        copies = 2 if rnd.random() < 0.1 else 1
        yield from ((began + level + rnd.uniform(0, 1.5), name, level) for _ in range(copies))


def _records(events: Iterable[_Event], partitions: int, events_per_record: int, row_bytes: int) -> Iterator[Record]:
    waiting: dict[int, list[Any]] = {partition: [] for partition in range(partitions)}
    for _, name, level in events:
        number = crc32(name.encode())
        partition = number % partitions
        waiting[partition].append([name, f"g{number // partitions % _GROUPS}", level])
        if len(waiting[partition]) == events_per_record:
            yield partition, _record(waiting[partition], row_bytes)
            waiting[partition] = []
    yield from ((partition, _record(rest, row_bytes)) for partition, rest in waiting.items() if rest)


def _record(events: list[Any], row_bytes: int) -> bytes:
    return orjson.dumps({"events": events, "row_bytes": row_bytes})


class Truth:
    """The outcome of source records that lie at offsets, each applied once and in order."""

    def __init__(self, records: Iterable[tuple[Record, int]], partitions: int) -> None:
        self.rows: dict[int, dict[bytes, Any]] = {}
        self.outputs: dict[int, list[tuple[bytes | None, bytes | None]]] = {number: [] for number in range(partitions)}
        stage = ToySmsStage()
        overlays = {number: Overlay(lambda _: None) for number in range(partitions)}
        for (number, value), offset in records:
            outputs = outputs_of(stage.apply(overlays[number], number, offset, value))
            self.outputs[number] += [(output.key, output.value) for output in outputs]
        for number, overlay in overlays.items():
            self.rows[number] = {key: overlay.get(key) for key in overlay.changed}
        self.groups = _groups(self.rows)


def _groups(rows: Mapping[int, Mapping[bytes, Any]]) -> dict[str, dict[str, Any]]:
    sources: dict[str, dict[str, Any]] = {}
    for number, mine in rows.items():
        for key, row in mine.items():
            if key.startswith(b"g:"):
                sources.setdefault(key[2:].decode(), {"revision": 0})[str(number)] = row
    return {group: total(row) for group, row in sources.items()}


def differences(truth: Truth, topics: Mapping[str, Records]) -> list[str]:
    """Return a line for everything that is not as it should be; the topics are those of one prefix, without it."""
    return [
        *_wrong_outputs(truth, topics["sms.status"]),
        *_wrong_rows(truth, latest(topics["streams-sms-changelog"])),
        *_wrong_progress(truth, topics["campaign.progress"]),
        *_wrong_campaigns(truth, latest(topics["streams-campaigns-changelog"])),
    ]


def latest(changelog: Records) -> dict[tuple[int, bytes], bytes]:
    """Return the records that compaction, or a recovery, leaves of a topic."""
    rows: dict[tuple[int, bytes], bytes] = {}
    for number, key, value in changelog:
        if value is None:
            rows.pop((number, key or b""), None)
        else:
            rows[number, key or b""] = value
    return rows


def _wrong_outputs(truth: Truth, topic: Records) -> list[str]:
    """
    Every change once or more, never with another content, the first sight of each in order, the newest of a key last.
    """
    wrong = []
    for number, expected in truth.outputs.items():
        seen = list(dict.fromkeys((key, value) for partition, key, value in topic if partition == number))
        if seen != expected:
            missing, untrue = len(set(expected) - set(seen)), len(set(seen) - set(expected))
            wrong.append(f"sms.status[{number}]: {missing} missing, {untrue} never true, or out of order")
        last = dict(expected)
        stale = [key for key, value in latest(topic).items() if key[0] == number and last.get(key[1]) != value]
        if stale:
            wrong.append(f"sms.status[{number}]: {len(stale)} keys end with a record that is not their newest")
    return wrong


def _wrong_rows(truth: Truth, rows: Mapping[tuple[int, bytes], bytes]) -> list[str]:
    found = {place: orjson.loads(value) for place, value in rows.items() if not place[1].startswith(b"\0")}
    expected = {(number, key): row for number, mine in truth.rows.items() for key, row in mine.items()}
    wrong = [place for place in expected.keys() | found.keys() if expected.get(place) != found.get(place)]
    return [f"sms table: {len(wrong)} of {len(expected)} rows"] if wrong else []


def _wrong_progress(truth: Truth, topic: Records) -> list[str]:
    last: dict[str, dict[str, Any]] = {}
    revisions: dict[tuple[str, int], dict[str, Any]] = {}
    wrong = []
    for _, key, value in topic:
        group, progress = (key or b"").decode(), orjson.loads(value or b"null")
        if revisions.setdefault((group, progress["revision"]), progress) != progress:
            wrong.append(f"campaign.progress: two contents of {group} revision {progress['revision']}")
        last[group] = progress
    for group, expected in truth.groups.items():
        if {**last.get(group, {}), "revision": 0} != expected:
            wrong.append(f"campaign.progress: {group} ends as {last.get(group)}, not as {expected}")
    return wrong


def _wrong_campaigns(truth: Truth, rows: Mapping[tuple[int, bytes], bytes]) -> list[str]:
    held = sum(key.startswith(HELD) for _, key in rows)
    found = {key[2:].decode(): total(orjson.loads(value)) for (_, key), value in rows.items() if key.startswith(b"t:")}
    wrong = [group for group, expected in truth.groups.items() if {**found.get(group, {}), "revision": 0} != expected]
    return [f"campaigns table: {len(wrong)} rows, {held} held back"] if wrong or held else []
