"""
The campaigns of one partition in the order of lists: running, finished and all, each newest first.

A list is cut out of an order by its times and its cursor, so its cost does not grow with the number of campaigns. Half
a kilobyte per campaign is kept in memory.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from streams.contract.answers import CampaignState

Place: TypeAlias = tuple[int, bytes]
"""
The place of a campaign in an order: minus the time in ms, and the key of its row. The time is that of its end in the
order of the finished ones, else that of its first callback or report. It hardly ever changes, so pages neither miss a
campaign nor repeat one while others come and move.
"""

Places: TypeAlias = Mapping[CampaignState | None, Place]
"""The places of one campaign in the orders that have it; None is the order of all campaigns."""

ORDERS: Final = (None, CampaignState.RUNNING, CampaignState.FINISHED)


class Times(msgspec.Struct):
    """The times in the row of a campaign; see `progress.Campaign`."""

    first: int
    finished: int = 0


class Wanted(NamedTuple):
    """The campaigns of a page: from `since` on and before `until` (ms), behind a place, so many at most."""

    state: CampaignState | None = None
    since: int | None = None
    until: int | None = None
    after: Place | None = None
    limit: int = 100


_read_times = msgspec.json.Decoder(Times).decode


def places_of(key: bytes, row: bytes) -> Places:
    """Return the places of a campaign by its row, as it is written."""
    times = _read_times(row)
    begun = (-times.first, key)
    if times.finished:
        return {None: begun, CampaignState.FINISHED: (-times.finished, key)}
    return {None: begun, CampaignState.RUNNING: begun}


class CampaignIndex:
    """The orders of the campaigns of one partition, to be told of each change."""

    def __init__(self, known: dict[bytes, Places]) -> None:
        """Begin with the places of campaigns by their keys; they belong to this object from then on."""
        self._known = known
        self._orders = {
            state: sorted(places[state] for places in known.values() if state in places) for state in ORDERS
        }

    def put(self, key: bytes, row: bytes | None) -> None:
        """Note the row of a campaign as it is now; None: there is none."""
        before = self._known.get(key, {})
        after = {} if row is None else places_of(key, row)
        if before == after:
            return
        for state, place in before.items():
            order = self._orders[state]
            del order[bisect_left(order, place)]
        for state, place in after.items():
            insort(self._orders[state], place)
        self._known[key] = after
        if not after:
            del self._known[key]

    def page(self, wanted: Wanted) -> list[Place]:
        """Return the places of a page in their order."""
        order = self._orders[wanted.state]
        begin = 0 if wanted.until is None else bisect_left(order, (1 - wanted.until, b""))
        if wanted.after is not None:
            begin = max(begin, bisect_right(order, wanted.after))
        end = len(order) if wanted.since is None else bisect_left(order, (1 - wanted.since, b""))
        return order[begin : min(end, begin + wanted.limit)]
