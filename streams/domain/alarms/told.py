"""
The alarms that were told: the newest record of each, and the mutes that withhold the notices of some.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from streams.contract.codec import format_time_ms
from streams.domain.alarms.alarm import Record, closed
from streams.domain.alarms.mute import MOST_MUTES, Mute, is_of, mute_of
from streams.domain.stage import Rows

ALARM_PREFIX: Final = b"o:"
"""Prefix of the rows with the newest record of each alarm."""
MOST_ALARMS: Final = 200
"""So many alarms are kept for answers, and all open ones."""
_ALARMS_KEY: Final = b"a:"


class Told:
    """Keeps the records in the rows. `mutes` has subject → mute; the caller keeps it."""

    def __init__(self, rows: Rows, mutes: dict[str, Mute]) -> None:
        self._rows = rows
        self._mutes = mutes
        self._offset = self._generation = 0

    def begin(self, offset: int, generation: int) -> None:
        """Begin with a further line of the source; revisions count on from its offset."""
        self._offset, self._generation = offset, generation

    def open(self, record: Record) -> Record:
        """Keep and return the newest record of an alarm."""
        key = ALARM_PREFIX + record["alarm"].encode()
        before = self._rows.get(key) or {"revision": 0}
        # The tick's offset plus one: the same in every replay; further records, and a topic made anew, count on.
        record |= {
            "muted_until": self._muted_until(record),
            "revision": max(self._offset, before["revision"]) + 1,
            "generation": self._generation,
        }
        self._rows.put(key, record)
        self._list(record)
        return record

    def close(self, key: str, minute: int, reason: str) -> Iterator[Record]:
        """Close the alarm of a key; yield its record unless it is closed already."""
        record = self._rows.get(ALARM_PREFIX + key.encode())
        if record is not None and record["is_open"]:
            yield self.open(closed(record, minute, reason))

    def mute(self, line: Mapping[str, Any], minute: int) -> Iterator[Record]:
        """Mute a subject from a minute on until the line's, or no more. Yield the open alarms that this changes."""
        mutes, subject, until = self._mutes, line["mute"], line["until"]
        changed = {subject}
        if until > minute:
            before = mutes.get(subject)
            mutes[subject] = Mute(minute if before is None else before.since, until)
            if len(mutes) > MOST_MUTES:
                given_up = min(mutes, key=lambda name: (mutes[name].until, name))
                del mutes[given_up]
                changed.add(given_up)
        elif mutes.pop(subject, None) is None:
            return
        yield from self._tell_again(changed)

    def end_mutes(self, minute: int) -> Iterator[Record]:
        """End the mutes that are over. Yield the alarms that are still open."""
        mutes = self._mutes
        for subject in sorted(name for name, mute in mutes.items() if mute.until <= minute):
            del mutes[subject]
            yield from self._tell_again({subject})

    def _tell_again(self, subjects: Collection[str]) -> Iterator[Record]:
        for record in told_alarms(self._rows, is_open=True)[::-1]:
            if any(is_of(record["subject"], subject) for subject in subjects):
                yield self.open(record)

    def _muted_until(self, record: Record) -> str | None:
        mute = mute_of(self._mutes, record["subject"])
        if mute is None:
            return None
        # People were told that it opened: they are told that it closes, too.
        was_told = not record["is_open"] and record["opened_at"] <= format_time_ms(mute.since * 60_000)
        return None if was_told else format_time_ms(mute.until * 60_000)

    def _list(self, record: Record) -> None:
        """List an alarm as the newest, and forget closed ones beyond the bound."""
        listed = [one for one in self._rows.get(_ALARMS_KEY) or [] if one != record["alarm"]]
        listed.append(record["alarm"])
        for name in listed[:-MOST_ALARMS]:
            key = ALARM_PREFIX + name.encode()
            if not (self._rows.get(key) or {}).get("is_open"):
                self._rows.delete(key)
                listed.remove(name)
        self._rows.put(_ALARMS_KEY, listed)


def told_alarms(rows: Rows, is_open: bool | None = None) -> list[Record]:  # noqa: FBT001 - a value of a query
    """Return the newest record of each alarm, the one that changed last first; of open or closed ones if wanted."""
    names = reversed(rows.get(_ALARMS_KEY) or [])
    records: list[Record] = [rows.get(ALARM_PREFIX + name.encode()) for name in names]
    return [record for record in records if is_open is None or record["is_open"] is is_open]
