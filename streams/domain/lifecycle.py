"""
One SMS (one part of a message): its callbacks join into one state that depends on neither their order nor repetition.

Every value of the state is a maximum or a minimum over the callbacks, so late, repeated and shuffled callbacks end in
the same state:

- the status is that of the callback with the greatest standing (`statuses.standing`);
- each descriptive field comes from the greatest callback that has it;
- `queued` and `sent` are the earliest dates of these stages;
- `finals` collects the different finals seen, from which conflicts are counted.

No clock of ours is among these values: a date counts as given. Values that depend on arrival are kept apart as
provenance: key, previous status, revision, times and places of receipt.
"""

from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from streams.contract.dates import NO_DATE
from streams.domain.callback import POSTED, PULLED, REDRIVEN, Callback
from streams.domain.details import Details
from streams.domain.privacy import holds_one_time_code
from streams.domain.statuses import (
    QUEUED,
    SENT,
    FinalsRule,
    Standing,
    changes_of_mind,
    is_final,
    sort_finals,
    standing,
)

APPLIED: Final = "applied"
DUPLICATE: Final = "duplicate"
STALE: Final = "stale"
CONFLICT: Final = "conflict"

ERASED_STAMP: Final[list[Any]] = [9999, "", NO_DATE]
"""
Among the stamps of an SMS whose recipient was erased. No detail has this index, and every version keeps the stamps of
details that it does not know.
"""

_FINALS_KEPT: Final = 32  # more different finals of one SMS are noise, and a row must stay bounded


class Sms(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """The state of one SMS; in a row it is a list of these values (`row_forms`)."""

    key: str
    status: str
    date: int
    """Routee's time of the status in ms, NO_DATE when unknown."""
    since: int
    """Time of receipt of the status in ms, kept only while `date` is unknown."""
    queued: int
    sent: int
    finals: list[list[int | str]]
    """The different [date, word] finals in order; empty while there are fewer than two."""
    details: Details
    stamps: list[list[Any]]
    """[index of the detail, word, date] of the callback it comes from, for details not of the status' own callback."""
    revision: int
    previous: str | None
    first_received: int
    received: int
    place: list[int]
    """[partition, offset, index] in the raw topic of the callback that made this revision."""
    cell: int = 0
    """The cell that it entered, as `cells.entered` numbers it; 0 when it is in none."""
    pulled: int = 0
    """
    The latest revision that a callback made which was not simply posted, 0 when none did; negative: it was redriven.

    A version that does not know it keeps it as it is, so a revision which that version makes is not taken for pulled.
    """

    @property
    def latest_date(self) -> int:
        """Return the latest date that is kept of any callback, in ms; NO_DATE when there is none."""
        return max(self.dates)

    @property
    def dates(self) -> list[int]:
        """Return the dates that are kept of all callbacks, in ms; NO_DATE where there is none."""
        dates = [self.date, self.queued, self.sent]
        dates += [int(final[0]) for final in self.finals]
        dates += [stamp[2] for stamp in self.stamps]
        return dates


Joined = tuple[Sms, str, bool]
"""The effect of one callback on an SMS: the state, the verdict, and whether there is a new revision to publish."""


def begin(message_id: str, callback: Callback, received: int, place: list[int]) -> Sms:
    """Return the first state of an SMS of a message."""
    status, date, details = callback.status, callback.date, callback.details
    key = details.sms_id or f"{message_id}#{details.part or 1}"
    since = NO_DATE if date else received
    queued = date if status == QUEUED else NO_DATE
    sent = date if status == SENT else NO_DATE
    stamps = [ERASED_STAMP] if callback.erased else []
    # By position, also the defaults: every SMS begins here, and each way of leaving some out costs time.
    return Sms(
        key,
        status,
        date,
        since,
        queued,
        sent,
        [],
        details,
        stamps,
        1,
        None,
        received,
        received,
        place,
        0,
        callback.origin,
    )


def origin_of(sms: Sms) -> int:
    """Return the origin of the callback that made the revision of an SMS, as `Callback.origin` has it."""
    if not sms.pulled:
        return POSTED
    return PULLED if sms.pulled == sms.revision else REDRIVEN if sms.pulled == -sms.revision else POSTED


def join(sms: Sms, callback: Callback, received: int, place: list[int], rule: FinalsRule) -> Joined:
    """
    Return the state after one more callback of the same SMS, the verdict on it, and whether there is a new revision.

    `applied` moved the status or added details to it; `conflict` brought a different final; `stale` is older than the
    status, though it may fill in details that only it has; `duplicate` says nothing new.
    """
    mine = standing(sms.status, sms.date, rule)
    theirs = standing(callback.status, callback.date, rule)
    is_ahead = theirs > mine
    if not is_ahead and theirs == mine and callback.details == sms.details and not sms.stamps:
        return sms, DUPLICATE, False
    status, date, since = sms.status, sms.date, sms.since
    if is_ahead:
        status, date = callback.status, callback.date
        since = NO_DATE if date else received
    queued, sent, finals = sms.queued, sms.sent, sms.finals
    if not is_final(callback.status):
        queued, sent = _stages(sms, callback)
    elif is_final(sms.status):
        finals = _join_finals(sms, callback)
    details, stamps = _join_details(sms, callback, mine, theirs, rule)
    state = Sms(
        sms.key,
        status,
        date,
        since,
        queued,
        sent,
        finals,
        details,
        stamps,
        sms.revision + 1,
        sms.status,
        sms.first_received,
        received,
        place,
        sms.cell,
        callback.origin * (sms.revision + 1) or sms.pulled,
    )
    if finals is not sms.finals and changes_of_mind(finals) > changes_of_mind(sms.finals):
        return state, CONFLICT, True
    if is_ahead:
        return state, APPLIED, True
    if queued != sms.queued or sent != sms.sent or details != sms.details:
        return state, APPLIED if theirs == mine else STALE, True
    return _unseen(sms, finals, stamps), DUPLICATE if _is_seen(sms, callback) else STALE, False


def _unseen(sms: Sms, finals: list[list[int | str]], stamps: list[list[Any]]) -> Sms:
    """Return the state after a callback that makes no revision: only finals and stamps may have changed."""
    unchanged = finals == sms.finals and stamps == sms.stamps
    return sms if unchanged else msgspec.structs.replace(sms, finals=finals, stamps=stamps)


def _stages(sms: Sms, callback: Callback) -> tuple[int, int]:
    """Return the earliest dates of Queued and Sent, this callback included."""
    status, date = callback.status, callback.date
    queued, sent = sms.queued, sms.sent
    if status == QUEUED and date and (not queued or date < queued):
        queued = date
    elif status == SENT and date and (not sent or date < sent):
        sent = date
    return queued, sent


def _is_seen(sms: Sms, callback: Callback) -> bool:
    """Tell whether a callback's status and date are certainly known already."""
    if (callback.status, callback.date) == (sms.status, sms.date):
        return True
    if callback.status == QUEUED:
        return bool(callback.date) and callback.date == sms.queued
    if callback.status == SENT:
        return bool(callback.date) and callback.date == sms.sent
    return [callback.date, callback.status] in sms.finals


def _join_finals(sms: Sms, callback: Callback) -> list[list[int | str]]:
    """Return the different finals, that of this callback included."""
    known = sms.finals or [[sms.date, sms.status]]
    theirs: list[int | str] = [callback.date, callback.status]
    if theirs in known or len(known) >= _FINALS_KEPT:
        return sms.finals
    return sort_finals([*known, theirs])


def _join_details(
    sms: Sms, callback: Callback, mine: Standing, theirs: Standing, rule: FinalsRule
) -> tuple[Details, list[list[Any]]]:
    """Return each detail from the greatest callback that has it, and stamps for details of other callbacks."""
    news = astuple(callback.details)
    is_ahead = theirs > mine and not sms.stamps
    # `all` takes half as long as `None not in`; a value of 0, which it takes for none, is rare and only costs time.
    if is_ahead and all(news) and news[_SERVICE] == sms.details.originating_service:  # nearly always
        return callback.details, []
    olds = astuple(sms.details)
    if news[_SERVICE] != olds[_SERVICE]:
        news, olds = _with_code_service(news, olds)
    if is_ahead and (None not in news or _has_all_of(news, olds)):
        return callback.details, []
    top, own, given = max(mine, theirs), (mine, sms.status, sms.date), (theirs, callback.status, callback.date)
    kept = {index: (standing(word, date, rule), word, date) for index, word, date in sms.stamps}
    values, stamps = [], []
    for index, (old, new) in enumerate(zip(olds, news, strict=True)):
        source, value = kept.pop(index, own), old
        # Two callbacks of one standing may differ in a detail: then the greater value stands.
        if new is not None and (old is None or theirs > source[0] or (theirs == source[0] and new > old)):
            source, value = given, new
        values.append(value)
        if value is not None and source[0] != top:
            stamps.append([index, source[1], source[2]])
    # The stamps that remain are of details that only a later version knows.
    stamps += ([index, word, date] for index, (_, word, date) in kept.items())
    if holds_one_time_code(values[_SERVICE]):
        # One callback may bring the text of a one-time code, and only another the service that tells.
        values[_MESSAGE] = None
        stamps = [stamp for stamp in stamps if stamp[0] != _MESSAGE]
    return Details(*values), stamps


def _has_all_of(news: tuple[Any, ...], olds: tuple[Any, ...]) -> bool:
    """Tell whether `news` has a value for every detail that `olds` has."""
    for new, old in zip(news, olds, strict=True):  # noqa: SIM110 - `all` of a generator takes twice as long
        if new is None and old is not None:
            return False
    return True


_SERVICE: Final = Details.__struct_fields__.index("originating_service")
_MESSAGE: Final = Details.__struct_fields__.index("message")


def _with_code_service(news: tuple[Any, ...], olds: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """
    Return both without a service that gives way to the other's: that of one-time codes stands, however old.

    A greater callback with another service would otherwise let the text in again, or not, by the order of arrival.
    """
    new_holds, old_holds = holds_one_time_code(news[_SERVICE]), holds_one_time_code(olds[_SERVICE])
    if old_holds and not new_holds:
        return (*news[:_SERVICE], None, *news[_SERVICE + 1 :]), olds
    if new_holds and not old_holds:
        return news, (*olds[:_SERVICE], None, *olds[_SERVICE + 1 :])
    return news, olds
