"""
The alarm `campaign-hanging`: far fewer SMS of a campaign are final than its reports let expect.

It is for SMS that are told only when they are final. Of one that hangs nothing is known, but the campaign's reports
tell how many SMS Routee has handed out, and a quarter of an hour later most of these are final in ordinary times. When
far fewer are, they hang, or their statuses do not reach us: Routee's own finals tell the two apart. Reports know no
routes. One campaign may have a bad list; when several hang at once, the cause is here or at the provider.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from streams.contract.records import Unit
from streams.domain.alarms.deviance import share_deviance
from streams.domain.alarms.rows import read_row
from streams.domain.progress import Campaign, totals
from streams.domain.report import finals_of
from streams.domain.stage import Rows
from streams.domain.statuses import QUEUED, is_final

RECOVERED, OVER = "recovered", "campaign is over"
MOST_RECOVERED, MOST_OVER = "most campaigns recovered", "most campaigns are over"
OTHERS_ARE_WELL = "most other campaigns do not hang"

AGE_MINUTES: Final = 15
"""So long after a report the SMS are judged that were handed out up to it."""
THRESHOLD: Final = 22.0
_FLOOR: Final = 0.15
_LEAST_SMS, _LEAST_LOST = 20, 8
_KEPT_REPORTS: Final = 12
"""Reports from which on SMS may hang: an outage may begin at any of them."""

_LEAST_CAMPAIGNS, _KEPT_CAMPAIGNS = 20, 60
_LOW_PART: Final = 6
"""The spread is that of the lowest of so many campaigns. Bad lists are fewer, and do not widen it."""
_LEAST_SHARE, _MOST_SHARE = 0.02, 0.995
_LEAST_RHO, _MOST_RHO = 0.001, 0.5

MOST_CAMPAIGNS: Final = 200
"""A campaign beyond so many is not watched until another one is over."""
_OVER_AFTER: Final = 24 * 60
_AT_ONCE_MINUTES, _LEAST_AT_ONCE, _PART_AT_ONCE = 60, 2, 0.5

_ACCOUNT_KEY, _CAMPAIGN = b"y:", b"m:"


def campaign_line(campaign: Campaign, generation: int) -> bytes | None:
    """Return a campaign as the alarms read it; None while no report has numbers."""
    reported = campaign["report"] and campaign["report"]["counts"]
    if not reported:
        return None
    derived = totals(campaign["sources"].values())
    # Parts are more: while the unit of the reports is not known fewer SMS seem to hang, never more.
    finals = finals_of(derived.messages if campaign["unit"] == Unit.MESSAGES else derived.parts)
    return orjson.dumps(
        {
            "campaign": campaign["id"],
            "at": campaign["last"] // 60_000,
            "handed": sum(reported.values()) - reported.get(QUEUED, 0),
            "final": finals,
            "reported": finals_of(reported),
            "under_way": any(not is_final(word) for word, count in derived.parts.items() if count),
            "ended": campaign["finished"] > 0,
            "revision": campaign["revision"],
            "generation": generation,
        }
    )


class Hang(msgspec.Struct, frozen=True):
    """The numbers that opened the alarm of a campaign."""

    deviance: float
    since: int
    until: int
    """Minutes of the first and the last report whose SMS were judged."""
    n: int
    x: int
    share: float
    """The part that is usually final."""
    untold: int
    """Finals of Routee's own counts that no status told."""
    before: tuple[int, int]
    """SMS handed out, and SMS final, before the first of the judged ones."""

    @property
    def is_untold(self) -> bool:
        """Whether most of the missing SMS are final by Routee's own counts."""
        return self.untold >= (self.n * self.share - self.x) / 2


class HangEvent(NamedTuple):
    """The alarm of a campaign that opened, or closed for a reason."""

    campaign: str
    hang: Hang
    reason: str | None


class ManyEvent(NamedTuple):
    """The alarm of the account that opened, or closed for a reason."""

    hanging: int
    judged: int
    """Campaigns that were judged within the hour."""
    since: int
    reason: str | None


class Usual(NamedTuple):
    """The part of a campaign's SMS that is usually final in time, and how far campaigns differ in it."""

    share: float
    rho: float
    """The correlation of two SMS of the same campaign."""
    known: float
    """How many SMS the share rests on."""

    @classmethod
    def of(cls, campaigns: list[tuple[int, int]]) -> "Usual | None":
        """Return the usual of campaigns, SMS and those final in time; None when they are too few."""
        if len(campaigns) < _LEAST_CAMPAIGNS:
            return None
        shares = sorted(x / n for n, x in campaigns)
        share = min(max(shares[len(shares) // 2], _LEAST_SHARE), _MOST_SHARE)
        binomial = share * (1 - share)
        by_chance = binomial * sum(1 / n for n, _ in campaigns) / len(campaigns)
        rho = ((share - shares[len(shares) // _LOW_PART]) ** 2 - by_chance) / binomial
        rho = min(max(rho, _LEAST_RHO), _MOST_RHO)
        return cls(share, rho, len(campaigns) / rho)


class _Told(msgspec.Struct, array_like=True):
    """A report: its minute, and how many SMS were handed out and final then."""

    minute: int
    handed: int
    final: int


class _Watched(msgspec.Struct):
    """The memory of one campaign."""

    generation: int = 0
    revision: int = 0
    at: int = 0
    """The minute of the newest line."""
    handed: int = 0
    final: int = 0
    reported: int = 0
    """SMS handed out, final by their statuses, and final by Routee's own counts."""
    is_followed: bool = False
    """SMS of it were told before they were final: they are judged with their routes."""
    is_ended: bool = False
    due: list[_Told] = []
    """Reports that are to be judged."""
    before: list[_Told] = msgspec.field(default_factory=lambda: [_Told(0, 0, 0)])
    """The last reports that were judged."""
    judged: tuple[int, int] = (0, 0)
    """SMS of the last report that was judged, and how many of them were final then."""
    open: Hang | None = None
    is_told: bool = False
    """Whether the open alarm was told; not while the account's stood for it."""

    def note(self, line: Mapping[str, Any], now: int) -> None:
        """Take in a line."""
        self.generation, self.revision, self.at = line["generation"], line["revision"], line["at"]
        self.final, self.reported = line["final"], line["reported"]
        self.is_followed = self.is_followed or line["under_way"]
        self.is_ended = line["ended"]
        if line["handed"] <= self.handed:
            return
        self.handed = line["handed"]
        told = _Told(self.at, self.handed, self.final)
        if self.at + AGE_MINUTES <= now:
            # A line that comes too late, after a rebuild for example, tells nothing of the first quarter of an hour.
            self.before = [told]
        elif self.due and self.due[-1].minute == self.at:
            self.due[-1] = told
        else:
            self.due.append(told)

    def take_due(self, minute: int, usual: Usual | None, *, is_trusted: bool) -> Hang | None:
        """Judge the reports whose time has come. Return the numbers of an alarm, if there is one."""
        found: Hang | None = None
        while self.due and self.due[0].minute + AGE_MINUTES <= minute:
            told = self.due.pop(0)
            if is_trusted and not self.is_followed:
                self.judged = told.handed, min(self.final, told.handed)
                found = (usual and self._hang(told, usual)) or found
            self.before = [*self.before, told][-_KEPT_REPORTS:]
        return found

    def _hang(self, told: _Told, usual: Usual) -> Hang | None:
        """
        Return the strongest fall of the SMS that were handed out between an earlier report and this one, if any.

        Finals of SMS that were handed out before and afterwards count as theirs, too: which SMS is final is not known
        here, so fewer seem to hang than do, never more.
        """
        best: Hang | None = None
        for begin, after in pairwise([*self.before, told]):
            n = told.handed - begin.handed
            # Finals beyond the usual were of SMS that are among the judged ones.
            earlier = min(begin.final, int(begin.handed * usual.share))
            x = min(max(self.final - earlier, 0), n)
            if n < _LEAST_SMS or n * usual.share - x < max(_LEAST_LOST, _FLOOR * n):
                continue
            deviance = share_deviance(n, x, usual.share, usual.rho, usual.known)
            if deviance >= THRESHOLD and (best is None or deviance > best.deviance):
                untold = max(self.reported - self.final, 0)
                before = begin.handed, earlier
                best = Hang(deviance, after.minute, told.minute, n, x, usual.share, untold, before)
        return best

    def is_well(self, hang: Hang) -> bool:
        """Tell whether the hanging SMS have become final, or are a small part of all since."""
        handed, final = self.handed - hang.before[0], self.final - hang.before[1]
        return final >= (hang.share - _FLOOR / 2) * handed

    def is_over(self, minute: int) -> bool:
        """Tell whether nothing more is to be expected: Routee may be ready long before what hangs is told to us."""
        return self._is_settled or minute - self.at >= _OVER_AFTER

    def look_at(self) -> int:
        """Return the minute at which there is something to do; 0: the next one."""
        if self.open is not None or self._is_settled:
            return 0
        return self.due[0].minute + AGE_MINUTES if self.due else self.at + _OVER_AFTER

    @property
    def _is_settled(self) -> bool:
        return self.is_ended and not self.due and self.open is None


class _Account(msgspec.Struct):
    """The memory of the whole account."""

    watched: dict[str, int] = {}
    """Campaign → the minute at which there is something to do."""
    learnt: list[tuple[int, int]] = []
    """Of the last campaigns that are over: SMS, and those final in time."""
    judged: dict[str, int] = {}
    """Campaign → the minute at which it was judged last, within the hour."""
    hanging: dict[str, int] = {}
    """Campaigns whose alarm is open → the minute at which it opened."""
    is_open: bool = False
    """Whether the account's alarm is open: further campaigns that hang are not told by themselves."""
    closed: dict[str, int] = {}
    """While it is open: reason → how many alarms of campaigns closed for it."""


def watched_campaigns(rows: Rows) -> int:
    """Return how many campaigns are watched; at `MOST_CAMPAIGNS` a further one is not."""
    return len((read_row(rows, _ACCOUNT_KEY, _Account) or _Account()).watched)


class CampaignWatch:
    """The alarms of campaigns. All it remembers is in the rows; they are read when they are needed."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._read: _Account | None = None

    def take(self, line: Mapping[str, Any], now: int) -> None:
        """Take in the line of a campaign, unless a newer one is known. `now` is the minute that ticks told."""
        name = line["campaign"]
        known = read_row(self._rows, _CAMPAIGN + name.encode(), _Watched)
        if known is None and (line["ended"] or line["under_way"] or len(self._account.watched) >= MOST_CAMPAIGNS):
            return
        campaign = known or _Watched()
        if (line["generation"], line["revision"]) <= (campaign.generation, campaign.revision):
            return
        before = campaign.look_at()
        campaign.note(line, now)
        if campaign.is_followed and campaign.open is None:
            # It can never be judged. Others need its place.
            self._drop(name)
            self._put_account()
            return
        if known is None or campaign.look_at() != before:
            self._account.watched[name] = campaign.look_at()
            self._put_account()
        self._put(name, campaign)

    def judge(self, minute: int, *, is_trusted: bool) -> Iterator[HangEvent | ManyEvent]:
        """Judge the reports that are due at a minute; leave them out while not trusted. Yield what opens and closes."""
        account = self._account
        due = sorted(name for name, at in account.watched.items() if at <= minute)
        if not due and not account.judged and not account.is_open:
            return
        usual = Usual.of(account.learnt)
        for name in due:
            yield from self._judge_campaign(name, usual, minute, is_trusted=is_trusted)
        yield from self._judge_account(minute)
        self._put_account()

    @property
    def _account(self) -> _Account:
        if self._read is None:
            self._read = read_row(self._rows, _ACCOUNT_KEY, _Account) or _Account()
        return self._read

    def _judge_campaign(self, name: str, usual: Usual | None, minute: int, *, is_trusted: bool) -> Iterator[HangEvent]:
        account = self._account
        campaign = self._campaign(name)
        before = campaign.judged
        hang = campaign.take_due(minute, usual, is_trusted=is_trusted)
        if campaign.judged != before:
            account.judged[name] = minute
        if hang is not None and campaign.open is None:
            campaign.open, account.hanging[name] = hang, minute
            campaign.is_told = not account.is_open
            if campaign.is_told:
                yield HangEvent(name, hang, None)
        if campaign.open is not None and campaign.is_well(campaign.open):
            yield self._close(name, campaign, campaign.open, RECOVERED)
        if campaign.is_followed and campaign.open is None:
            self._drop(name)
            return
        if not campaign.is_over(minute):
            account.watched[name] = campaign.look_at()
            self._put(name, campaign)
            return
        if campaign.open is not None:
            yield self._close(name, campaign, campaign.open, OVER)
        self._forget(name, campaign)

    def _close(self, name: str, campaign: _Watched, hang: Hang, reason: str) -> HangEvent:
        # Looking back over the end it would open again at once.
        campaign.open, campaign.before = None, [_Told(campaign.at, campaign.handed, campaign.final)]
        account = self._account
        account.hanging.pop(name, None)
        if account.is_open:
            account.closed[reason] = account.closed.get(reason, 0) + 1
        return HangEvent(name, hang, reason)

    def _forget(self, name: str, campaign: _Watched) -> None:
        """Forget a campaign that is over, and learn it."""
        account = self._account
        if campaign.judged[0] >= _LEAST_SMS:
            account.learnt = [*account.learnt, campaign.judged][-_KEPT_CAMPAIGNS:]
        self._drop(name)

    def _drop(self, name: str) -> None:
        del self._account.watched[name]
        self._rows.delete(_CAMPAIGN + name.encode())

    def _judge_account(self, minute: int) -> Iterator[HangEvent | ManyEvent]:
        """Open the account's alarm when enough campaigns begin to hang at once; close it when too few still hang."""
        account, since = self._account, minute - _AT_ONCE_MINUTES
        account.judged = {name: at for name, at in account.judged.items() if at > since}
        judged = len(account.judged.keys() | account.hanging.keys())
        least = max(_LEAST_AT_ONCE, _PART_AT_ONCE * judged)
        fresh = [at for at in account.hanging.values() if at > since]
        if account.is_open:
            if len(account.hanging) < least:
                yield ManyEvent(len(account.hanging), judged, minute, self._why_closed())
                account.is_open, account.closed = False, {}
                yield from self._tell_untold()
        elif len(fresh) >= least:
            account.is_open = True
            yield ManyEvent(len(fresh), judged, min(fresh), None)

    def _why_closed(self) -> str:
        account = self._account
        if len(account.hanging) >= _LEAST_AT_ONCE:
            return OTHERS_ARE_WELL
        return MOST_RECOVERED if account.closed.get(RECOVERED, 0) > account.closed.get(OVER, 0) else MOST_OVER

    def _tell_untold(self) -> Iterator[HangEvent]:
        """Open the alarms of the campaigns that still hang, and for which only the account's was told."""
        for name in sorted(self._account.hanging):
            campaign = self._campaign(name)
            if campaign.open is not None and not campaign.is_told:
                campaign.is_told = True
                self._put(name, campaign)
                yield HangEvent(name, campaign.open, None)

    def _campaign(self, name: str) -> _Watched:
        return read_row(self._rows, _CAMPAIGN + name.encode(), _Watched) or _Watched()

    def _put(self, name: str, campaign: _Watched) -> None:
        self._rows.put(_CAMPAIGN + name.encode(), campaign)

    def _put_account(self) -> None:
        self._rows.put(_ACCOUNT_KEY, self._account)
