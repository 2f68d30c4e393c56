"""
Erasing recipients in the rows and records of SMS. Pure.

An SMS that an erasure covers loses its recipient, text and label, for good: a mark among its stamps keeps later
callbacks from bringing them back. The erasure is a revision of its own, made from the row as it is when the erasure
begins to hold: of two ways to get there, a walk through all rows and the next callback, both give the same record.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, ClassVar, Final

import msgspec

from streams.contract.dates import NO_DATE
from streams.contract.erasures import BLANKED, Erasure, Erasures, Marks, moment_of
from streams.domain.callback import Callback
from streams.domain.deliveries import Deliveries
from streams.domain.details import Details
from streams.domain.expiry import forgotten_before
from streams.domain.intake import output_of
from streams.domain.lifecycle import ERASED_STAMP, Sms, origin_of
from streams.domain.message import MESSAGE_PREFIX, Message, find_part, read_message
from streams.domain.message_state import message_state
from streams.domain.policy import MOST_CELLS, Erased
from streams.domain.sending import sending
from streams.domain.stage import Output, Rows
from streams.domain.tally import keep_tally

_EPOCH: Final = moment_of(0)
_MILLISECOND: Final = timedelta(milliseconds=1)
_REMEMBERED: Final = 65_536
_VIEWS_KEPT: Final = 4
_OFFSET_OF: Final = itemgetter(0)
_BLANK: Final[dict[str, Any]] = dict.fromkeys(BLANKED)
_BLANK_INDEXES: Final = frozenset(map(Details.__struct_fields__.index, BLANKED))


class _Moments(dict[str | None, int]):
    """Recipient → the moment of its latest erasure in ms, 0 when there is none; found out when it is asked for."""

    def __init__(self, erasures: Erasures) -> None:
        super().__init__({None: 0})
        self._erasures = erasures

    def __missing__(self, recipient: str) -> int:
        # The callbacks of an SMS come together: an HMAC for each would cost more than all the rest.
        if len(self) >= _REMEMBERED:
            self.clear()
            self[None] = 0
        moment = self[recipient] = _in_ms(self._erasures.erased_at(recipient))
        return moment


class ErasuresInForce:
    """The erasures that hold in a partition; they never change."""

    def __init__(self, erasures: Erasures) -> None:
        self.all = erasures
        """The erasures themselves."""
        self.at: Callable[[str | None], int] = _Moments(erasures).__getitem__
        """The moment of a recipient's latest erasure in ms, 0 when there is none."""
        self.latest = _in_ms(erasures.latest)
        """The moment of the latest of all erasures in ms."""
        self.digest = erasures.digest
        """Which erasures these are, for the records in which they hold."""

    def covers_body(self, body: bytes, moments: Iterable[int]) -> bool:
        """Tell whether a refused body has a recipient whose erasure any of the moments (ms, 0: none) lies before."""
        return any(self.all.covers_body(body, moment_of(moment)) for moment in moments if moment)


def _in_ms(moment: datetime | None) -> int:
    """Return the first millisecond that is not before a moment: of whole ones the same are before both."""
    return 0 if moment is None else -((_EPOCH - moment) // _MILLISECOND)


class KnownErasures:
    """
    The erasures of the topic as far as it was read. `erasing` rows are told by it which ones hold in them.

    `marks` are those of ERASURE_KEY, None when it is not set; `cells` is the most cells of a window.
    """

    prefix: ClassVar = MESSAGE_PREFIX

    def __init__(self, marks: Marks | None = None, cells: int = MOST_CELLS) -> None:
        self._none = Erasures(marks)
        self._cells = cells
        self._log: list[tuple[int, Erasure]] = []
        self._views: dict[int, ErasuresInForce | None] = {}
        self.end = 0
        """The offset after the last record that was read."""
        self.is_current = True
        """Whether Kafka has said of late that there are no others; without that nothing is taken in, nor told."""
        self.confirmations = 0
        """How often Kafka has said so."""

    def add(self, offset: int, erasure: Erasure) -> None:
        """Add the next record of the topic; AnotherKeyError when recipients cannot be compared with it."""
        self._none.require_key(erasure)
        self._log.append((offset, erasure))
        self.end = offset + 1

    @property
    def all(self) -> ErasuresInForce | None:
        """The erasures that are known, None when there are none."""
        return self.before(self.end)

    def before(self, end: int) -> ErasuresInForce | None:
        """Return the erasures in the records before an offset, as far as they were read; None when there are none."""
        # A view beyond that would still be without the next erasures when they have come.
        end = min(end, self.end)
        if end not in self._views:
            # Of a view that is there already only the erasures after it have to be added.
            begin = max((known for known in self._views if known < end), default=0)
            former = self._views.get(begin)
            first, last = (bisect_left(self._log, at, key=_OFFSET_OF) for at in (begin, end))
            erasures = (former.all if former else self._none).with_more(one for _, one in self._log[first:last])
            while len(self._views) >= _VIEWS_KEPT:
                del self._views[next(iter(self._views))]
            self._views[end] = ErasuresInForce(erasures) if erasures else None
        return self._views[end]

    def erase(self, rows: Rows, keys: Iterable[bytes]) -> list[Output]:
        """Erase in the rows of messages what the erasures that hold cover; return the records of the new revisions."""
        if rows.erased is None:
            return []
        tally = keep_tally(rows)
        tally["forgotten"] = forgotten_before(tally)
        deliveries = Deliveries(self._cells, rows, tally)
        return [output for key in keys for output in _erase_row(rows, deliveries, key)]


def _erase_row(rows: Rows, deliveries: Deliveries, key: bytes) -> Iterator[Output]:
    written = rows.raw(key)
    if written is None or rows.erased is None:
        return
    found, later = read_message(written)
    message, outputs = _erase_parts(found, _covered(found, rows.erased), rows.erased)
    if message is not found:
        deliveries.erase(found, message)
        rows.put(key, message if later is None else later.added_to(message))
    yield from outputs


def as_shown(message: Message, erased: Erased | None) -> Message:
    """
    Return a message as it may be shown: without erased data, also where these erasures do not hold in its row yet.

    No walk may have met the row, or its partition still takes in records of a former owner. Its revision is not a
    new one.
    """
    places = [] if erased is None else _covered(message, erased)
    if not places:
        return message
    parts = [*message.parts]
    for at in places:
        parts[at] = msgspec.structs.replace(parts[at], details=msgspec.structs.replace(parts[at].details, **_BLANK))
    return msgspec.structs.replace(message, parts=parts)


def _covered(message: Message, erased: Erased) -> list[int]:
    """Return the indexes of the SMS that are to be erased and are not yet."""
    return [
        at
        for at, sms in enumerate(message.parts)
        if (moment := erased.at(sms.details.recipient)) and not is_erased(sms) and _is_before(sms, moment)
    ]


def is_erased(sms: Sms) -> bool:
    """Tell whether an SMS was erased."""
    return ERASED_STAMP in sms.stamps


def _is_before(sms: Sms, moment: int) -> bool:
    """Tell whether an SMS was first received, or dated by Routee, before a moment (ms)."""
    return sms.first_received < moment or any(NO_DATE < date < moment for date in (*sms.dates, sms.since))


def _erase_parts(message: Message, places: Iterable[int], erased: Erased) -> tuple[Message, list[Output]]:
    """Return a message without the data of some SMS, and the record of each SMS that lost any."""
    outputs = []
    for at in places:
        before = message.parts[at]
        sms = _blank(before)
        parts = [*message.parts]
        parts[at] = sms
        if sms.revision == before.revision:
            message = msgspec.structs.replace(message, parts=parts)
            continue
        message = msgspec.structs.replace(message, parts=parts, previous=message.status)
        outputs.append(output_of(message, message_state(message), sms, sending(sms), erased))
    return message, outputs


def _blank(sms: Sms) -> Sms:
    """Return an SMS without its personal data, as a new revision if it had any."""
    stamps = [stamp for stamp in sms.stamps if stamp[0] not in _BLANK_INDEXES]
    details = msgspec.structs.replace(sms.details, **_BLANK)
    if details == sms.details:
        return msgspec.structs.replace(sms, stamps=[*stamps, ERASED_STAMP])
    revision = sms.revision + 1
    return msgspec.structs.replace(
        sms,
        details=details,
        stamps=[*stamps, ERASED_STAMP],
        revision=revision,
        previous=sms.status,
        # The place of the callback stays, and so does its source.
        pulled=origin_of(sms) * revision or sms.pulled,
    )


def may_be_covered(callback: Callback, found: Message | None, received: int, latest: int) -> bool:
    """
    Tell whether `erase_before` has to be asked about a callback received then; `latest` is that of all erasures.

    Of nearly every callback, and of the SMS of its message, all moments are later: comparing them costs far less than
    the mark of a recipient.
    """
    if received < latest or NO_DATE < callback.date < latest:
        return True
    if found is None:
        return False
    for sms in found.parts:
        if (
            sms.first_received < latest
            or sms.stamps
            or sms.finals
            or NO_DATE < sms.date < latest
            or NO_DATE < sms.queued < latest
            or NO_DATE < sms.sent < latest
            or NO_DATE < sms.since < latest
        ):
            return True
    return False


def _differs(callback: Callback, found: Message) -> bool:
    """Tell whether an SMS of a message may be covered though the recipient of its callback is not erased."""
    recipient = callback.details.recipient
    for sms in found.parts:  # noqa: SIM110 - `any` of a generator takes twice as long
        if sms.stamps or sms.details.recipient != recipient:
            return True
    return False


def erase_before(
    callback: Callback, found: Message | None, received: int, erased: Erased
) -> tuple[Callback, Message | None, list[Output]]:
    """
    Return a callback and its message without the data that is erased, and the records of the SMS that lost any.

    The SMS of the callback is covered by its own recipient and dates, too; `erased` of the returned callback is the
    moment of that erasure.
    """
    own = erased.at(callback.to)
    if not own and (found is None or not _differs(callback, found)):
        return callback, found, []
    at = None if found is None else find_part(found.parts, callback.details.sms_id, callback.details.part)
    sms = None if found is None or at is None else found.parts[at]
    moment = max(own, erased.at(sms.details.recipient) if sms else 0)
    is_covered = bool(moment) and (received < moment or NO_DATE < callback.date < moment)
    is_covered = is_covered or (sms is not None and (is_erased(sms) or (bool(moment) and _is_before(sms, moment))))
    if is_covered:
        callback = msgspec.structs.replace(
            callback, details=msgspec.structs.replace(callback.details, **_BLANK), erased=moment
        )
    if found is None:
        return callback, None, []
    places = _covered(found, erased)
    if is_covered and sms is not None and at is not None and at not in places and not is_erased(sms):
        places = [*places, at]
    message, outputs = _erase_parts(found, places, erased) if places else (found, [])
    return callback, message, outputs
