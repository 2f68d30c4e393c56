"""
How SMS move between cells: each change of an SMS takes its share out of one cell and adds it to the same or another.

A message counts in the cell of its first part. An SMS leaves the very cell that it entered: its row says which. Rows
that an older version wrote say none, and such an SMS enters a cell with its next change.
"""

from bisect import insort
from typing import Final

import msgspec

from streams.domain.cells import (
    LEVELS,
    WINDOW_MS,
    CellTallying,
    Route,
    cell_key,
    cell_name,
    coarsened,
    entered,
    name_entered,
    rooms,
    route_of,
    share_of,
)
from streams.domain.intake import Taken
from streams.domain.lifecycle import Sms
from streams.domain.listing import Listing
from streams.domain.message import Message
from streams.domain.policy import DAY_MS
from streams.domain.sending import sending
from streams.domain.stage import Rows
from streams.domain.tally import Tally, count

CELLS: Final = Listing(b"w:")
"""The names of the cells of each window."""

_WINDOWS_KEY: Final = b"o:"
"""The windows that have cells, in order."""

CLOSED: Final = "closed-cell"
"""Noted for a change of an SMS whose cell is closed: only the record of the SMS tells it."""
COARSE: Final = "coarse-cell"
"""Noted for an SMS that enters a cell in which `other` stands for some of its values."""

_Place = tuple[int, *Route]
"""Window and route, flat: dictionaries find it in fewer steps than a tuple within one."""

# An SMS that was just made, and that nothing else has seen yet: a copy would cost as much as joining.
_set: Final = msgspec.structs.force_setattr


def is_closed(window: int, forgotten: int) -> bool:
    """
    Tell whether the cells of a window take no changes any more.

    They are closed a day after final messages that were sent at its end may be forgotten. `forgotten` is the moment
    in ms before which messages may be; it only rises, so a closed cell stays closed.
    """
    return (window + 1) * WINDOW_MS + DAY_MS <= forgotten


class Deliveries:
    """The cells of one partition while a piece of an envelope is taken in."""

    def __init__(self, cells: int, rows: Rows, tally: Tally) -> None:
        """`cells` is the most cells of a window."""
        self._rooms = rooms(cells)
        self._rows = rows
        self._tally = tally
        self._cells: dict[tuple[int, Route], CellTallying] = {}
        self._touched: dict[str, CellTallying] = {}
        self._forgotten = 0
        self._entered: dict[_Place, tuple[int, CellTallying | None]] = {}
        """Found while `forgotten` was that, as those in `_cells`; some may be closed when it is another."""

    def enter(self, message: Message, sent: int, status: str) -> None:
        """Let a new message of this status enter its cell, with its first part, which was sent then (ms)."""
        (sms,) = message.parts
        number, cell = self._enter((sent // WINDOW_MS, *route_of(sms.details)))
        _set(sms, "cell", number)
        if cell is None:
            count(self._tally["notes"], CLOSED)
        else:
            cell.enter(share_of(sms), status)

    def move(self, before: Message, taken: Taken) -> bool:
        """
        Move the shares of a message by the effect of a callback, and of its parts.

        A part that enters a cell gets its number, so the message is written only now. Returns whether any did.
        """
        parts, was = taken.message.parts, before.parts
        if parts is was:
            return False
        if len(parts) == 1:  # nearly all messages: the message and its part are in one cell
            return self._move_part(was[0], parts[0], taken.sent, taken.was, taken.status)
        has_entered = False
        for at, sms in enumerate(parts):
            old = was[at] if at < len(was) else None
            if sms is not old:
                has_entered = self._move_part(old, sms, taken.sent) or has_entered
        if taken.was is not None and taken.status is not None:
            self._move_message(before, taken.was, taken.message, taken.status)
        return has_entered

    def erase(self, before: Message, after: Message) -> None:
        """
        Move the parts of a message that lost their labels; `after` is written only now.

        No record may come with it, so the cells that a part leaves and enters count it: the higher number is newer.
        """
        for old, sms in zip(before.parts, after.parts, strict=True):
            if sms is not old and self._move_part(old, sms):
                for one in (old, sms):
                    cell = self._open(one.cell, route_of(one.details))
                    if cell is not None:
                        cell.count_erased()
        self._move_message(before, before.status, after, after.status)

    def _move_part(
        self, old: Sms | None, sms: Sms, sent: int | None = None, was: str | None = None, now: str | None = None
    ) -> bool:
        """
        Move the share of a part; return whether it enters a cell.

        `sent` is when it was sent, in ms, if that is known.
        `was` and `now` are the statuses of its message when that moves with it, else None.
        """
        window, route = (sending(sms)[0] if sent is None else sent) // WINDOW_MS, route_of(sms.details)
        is_late = False
        if old is not None and old.cell:
            former = route_of(old.details)
            cell = self._open(old.cell, former)
            if old.cell >> 3 == window and former == route:
                if cell is not None:
                    cell.replace(share_of(old), share_of(sms), was, now)
                elif share_of(old) != share_of(sms):
                    count(self._tally["notes"], CLOSED)
                return False
            if cell is not None:
                cell.add(share_of(old), was, -1)
            is_late = cell is None
        number, entered_cell = self._enter((window, *route))
        _set(sms, "cell", number)
        if entered_cell is not None:
            entered_cell.enter(share_of(sms), now)
        if is_late or entered_cell is None:
            count(self._tally["notes"], CLOSED)
        return True

    def _move_message(self, before: Message, was: str, after: Message, now: str) -> None:
        """Move the share of a message of several parts, and these statuses."""
        left, cell = self._cell_of(before), self._cell_of(after)
        if left is not None:
            left.add(None, was, -1)
        if cell is not None:
            cell.add(None, now, 1)

    def _cell_of(self, message: Message) -> CellTallying | None:
        """Return the cell of a message, that of its first part; None when it is in none, or its cell is closed."""
        first = _first(message)
        return self._open(first.cell, route_of(first.details))

    def _open(self, cell: int, route: Route) -> CellTallying | None:
        """Return the cell with this number; None for 0, or when it is closed."""
        if not cell:
            return None
        if self._forgotten != self._tally["forgotten"]:
            self._find_anew()
        found = self._cells.get((cell, route))
        if found is None and not is_closed(cell >> 3, self._forgotten):
            found = self._cells[cell, route] = self._cell(name_entered(cell, route))
        return found

    def _find_anew(self) -> None:
        self._forgotten = self._tally["forgotten"]
        self._entered.clear()
        self._cells.clear()

    def _cell(self, name: str) -> CellTallying:
        """Return the cell of this name, which is not closed."""
        found = self._touched.get(name)
        if found is None:
            found = self._touched[name] = self._kept(name)
        return found

    def _kept(self, name: str) -> CellTallying:
        key = cell_key(name)
        kept: CellTallying | None = self._rows.kept(key)
        if kept is None:
            kept = CellTallying(self._rows.get(key))
            self._rows.keep(key, kept)
        return kept

    def _enter(self, place: _Place) -> tuple[int, CellTallying | None]:
        """
        Return the number and the counts of the cell for an SMS that enters here: 0 and None when it is closed.

        A cell that is new is made.
        """
        if self._forgotten != self._tally["forgotten"]:
            self._find_anew()
        found = self._entered.get(place)
        if found is None:
            window, *route = place
            found = self._entered[place] = self._found(window, tuple(route))
        if found[0] & 7 > 1:
            count(self._tally["notes"], COARSE)
        return found

    def _found(self, window: int, route: Route) -> tuple[int, CellTallying | None]:
        if is_closed(window, self._tally["forgotten"]):
            return 0, None
        cell = entered(window, self._level(window, route))
        return cell, self._open(cell, route)

    def _level(self, window: int, route: Route) -> int:
        """Return the first level at which the cell is there, or there is room for it."""
        used = CELLS.count(self._rows, window)
        for level in range(LEVELS):
            name = cell_name(window, coarsened(route, level))
            if self._is_there(name):
                return level
            if used < self._rooms[level]:
                break
        if not used:
            self._open_window(window)
        CELLS.add(self._rows, window, [name])
        self._touched[name] = self._kept(name)
        return level

    def _is_there(self, name: str) -> bool:
        key = cell_key(name)
        return name in self._touched or self._rows.kept(key) is not None or self._rows.raw(key) is not None

    def _open_window(self, window: int) -> None:
        windows = self._rows.get(_WINDOWS_KEY) or []
        insort(windows, window)
        self._rows.put(_WINDOWS_KEY, windows)
        self._tally["first_window"] = windows[0]

    def reach(self, offset: int, taken: int) -> None:
        """Note in the cells that were touched that they contain the first callbacks of the envelope at `offset`."""
        for cell in self._touched.values():
            cell.reach(offset, taken)

    def close_due(self, budget: int) -> list[str]:
        """
        Return the names of about `budget` cells that are closed and are listed no more; the caller deletes their rows.

        The work exceeds the budget by at most one chunk. The next calls return the rest.
        """
        names: list[str] = []
        while len(names) < budget and self._is_first_closed():
            taken = CELLS.take_chunk(self._rows, self._tally["first_window"])
            if taken is None:
                self._leave_window()
            else:
                names += taken
        return names

    def _is_first_closed(self) -> bool:
        return "first_window" in self._tally and is_closed(self._tally["first_window"], self._tally["forgotten"])

    def _leave_window(self) -> None:
        _, *windows = self._rows.get(_WINDOWS_KEY)
        if windows:
            self._tally["first_window"] = windows[0]
            self._rows.put(_WINDOWS_KEY, windows)
        else:
            del self._tally["first_window"]
            self._rows.delete(_WINDOWS_KEY)


def _first(message: Message) -> Sms:
    """Return the first part that was heard of: a part without a number is the first."""
    parts = message.parts
    if len(parts) == 1 or parts[0].details.part == 1:  # nearly always
        return parts[0]
    return min(parts, key=lambda sms: sms.details.part or 1)
