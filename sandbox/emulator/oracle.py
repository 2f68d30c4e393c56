"""
The oracle: the expected state of every SMS, message and campaign, from ledger lines alone.

Shares no code with the pipeline, and states its rules again: an expectation made by the code under test proves
nothing. The rules are those of the default settings (`STREAMS_CONFLICTING_FINALS=latest`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

Line = Mapping[str, Any]
Standing = tuple[int, str, int]

FINALS: Final = ("Delivered", "Undelivered", "Failed", "Unsent")
# Of two finals with the same time the one further to the right counts.
_PRECEDENCE: Final = {status: place for place, status in enumerate(reversed(FINALS))}
_RANK: Final = {"Queued": 0, "Sent": 1, **dict.fromkeys(FINALS, 2)}
_ROLL_UP: Final = ("Queued", "Sent", "Failed", "Unsent", "Undelivered", "Delivered")
# The cells that a status which is no final fills for good.
_CELLS_OF: Final = {"Queued": {"queued_at", "sending_at", "sent_from"}, "Sent": {"sent_at", "sending_at", "sent_from"}}
_CAMPAIGN_RANK: Final = {"Queued": 0, "Running": 1, "Sent": 2, "Finished": 3}


def standing(line: Line) -> Standing:
    """Return where a status callback stands: the greatest of those delivered is the state of its SMS."""
    return _RANK[line["status"]], line["updated_at"], _PRECEDENCE.get(line["status"], 0)


def was_accepted(line: Line) -> bool:
    """Return whether a callback was answered 200: the pipeline must not lose it."""
    return any(answer.get("status") == 200 for answer in line["answers"])  # noqa: PLR2004 - the one good answer


def was_told(line: Line) -> bool:
    """Return whether a callback reached the URL, and was answered 200 there."""
    return any(answer.get("status") == 200 and "swallowed" not in answer for answer in line["answers"])  # noqa: PLR2004


def is_uncertain(line: Line) -> bool:
    """Return whether a callback was sent and never answered 200: the pipeline may have it or not."""
    return bool(line["answers"]) and not was_accepted(line)


@dataclass(slots=True)
class SmsState:
    """
    One SMS: `facts` is its ledger line, `state` the callback line that decides it, None while none was accepted.

    `untold` are the lines of its callbacks that never came. With `is_asked`, Routee was asked for it, now or before;
    with `is_watched`, also while its callbacks came, at any moment.
    """

    facts: Line
    state: Line | None = None
    seen: set[Standing] = field(default_factory=set)
    maybe: list[Line] = field(default_factory=list)
    untold: list[Line] = field(default_factory=list)
    is_asked: bool = False
    is_watched: bool = False

    def take(self, line: Line) -> None:
        """Take in one status callback."""
        if is_uncertain(line):
            self.maybe.append(line)
        elif was_accepted(line):
            self.seen.add(standing(line))
            if self.state is None or standing(line) > standing(self.state):
                self.state = line

    def ask_routee(self) -> None:
        """Take in the last status, as Routee tells it: when none is known, and when it is further or a later final."""
        self.is_asked = True
        self.untold = [line for line in self.untold if standing(line) not in self.seen]
        true = self.facts["true"]["status"], self.facts["true"]["updated_at"]
        for line in self.untold:
            if (line["status"], line["updated_at"]) == true and self._is_news(line):
                self.state = line

    def _is_news(self, line: Line) -> bool:
        if self.state is None:
            return True
        mine, theirs = standing(self.state), standing(line)
        return theirs[0] > mine[0] or (theirs > mine and line["status"] != self.state["status"])

    @property
    def keys(self) -> tuple[str, str]:
        """Return the key that its callbacks give it, and the one of Routee's answers, which may be first to tell it."""
        return self.facts["sms_key"], self.facts["true"]["sms_id"] if self._may_be_pulled else self.facts["sms_key"]

    @property
    def open_cells(self) -> set[str]:
        """
        Return the cells that hang on the moments at which Routee was asked, which are not known.

        It tells the status as of that moment, which may be one that no callback told, or be first to tell it.
        """
        cells = {"source"} if self.is_asked else set[str]()
        cells |= {"sms_id"} if self._may_be_pulled and self.facts["sms_id"] is None else set[str]()
        for line in self.untold:
            cells |= _CELLS_OF.get(line["status"], {"conflicts"})
        for status, stage in _CELLS_OF.items():
            cells |= stage if self.is_watched and self.earliest(status) is None else set[str]()
        return cells

    @property
    def _may_be_pulled(self) -> bool:
        return bool(self.untold) or self.is_watched

    def possible(self) -> list[Line | None]:
        """Return the lines that may decide this SMS: exactly one when every callback was answered."""
        best = standing(self.state) if self.state else (-1, "", 0)
        return [self.state, *(line for line in self.maybe if standing(line) > best)]

    @property
    def is_certain(self) -> bool:
        """Return whether the expectation is exact."""
        return len(self.possible()) == 1

    def earliest(self, status: str) -> str | None:
        """Return the earliest time that Routee gave for a stage which is not final, None when it was not heard of."""
        return min((at for rank, at, _ in self.seen if rank == _RANK[status]), default=None)

    @property
    def different_finals(self) -> int:
        """Return how many different final statuses were accepted."""
        return len({place for rank, _, place in self.seen if rank == _RANK["Delivered"]})


@dataclass(slots=True)
class CampaignState:
    """
    One campaign: its ledger line, the reports that may be the newest (no order is given among equals), and the unit.

    `sums` is each distinct sum of a report's counts → the different counts that were reported with it.
    """

    facts: Line
    newest: list[Line] = field(default_factory=list)
    sums: dict[int, set[tuple[tuple[str, int], ...]]] = field(default_factory=dict)
    finished: bool = False
    reports: int = 0
    uncertain_reports: int = 0
    is_told: bool = False
    """A report came in a callback: it tells the strategy, and the details of a campaign do not."""

    def take(self, line: Line) -> None:
        """Take in one report: more finals are newer, then more that left the queue, then the further status."""
        if is_uncertain(line):
            self.uncertain_reports += 1
        if not was_accepted(line):
            return
        self.is_told = True
        self._take_report(line)

    def ask_routee(self, counts: Mapping[str, int]) -> None:
        """Take in the details of a campaign of which every message is final, as Routee tells them."""
        self._take_report({"campaign_status": "Finished", "counts": counts})

    def _take_report(self, line: Line) -> None:
        self.reports += 1
        counts = {status: number for status, number in line["counts"].items() if number}
        self.sums.setdefault(sum(counts.values()), set()).add(tuple(sorted(counts.items())))
        self.finished |= line["campaign_status"] == "Finished"
        best = _age(self.newest[0]) if self.newest else (-1, -1, -1)
        if _age(line) > best:
            self.newest = [line]
        elif _age(line) == best:
            self.newest.append(line)

    @property
    def unit(self) -> str | None:
        """Return the unit of Routee's counts, None while it is open: more than one for each recipient are parts."""
        recipients = self.facts["total_recipients"]
        if max(self.sums, default=0) > recipients:
            return "parts"
        stays = len(self.sums.get(recipients, ())) > 1
        return "messages" if self.finished or stays else None


def _age(report: Line) -> tuple[int, int, int]:
    counts = report["counts"]
    finals = sum(counts.get(status, 0) for status in FINALS)
    return finals, sum(counts.values()) - counts.get("Queued", 0), _CAMPAIGN_RANK[report["campaign_status"]]


@dataclass(frozen=True, slots=True)
class MessageState:
    """A message as its accepted parts have it; price and latency follow the view `messages`."""

    message_id: str
    campaign_tracking_id: str | None
    status: str
    is_final: bool
    parts: int
    parts_seen: int
    latency_seconds: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class CampaignCounts:
    """The counts that follow from the accepted status callbacks of one campaign."""

    messages: int
    messages_by_status: dict[str, int]
    parts: int
    parts_by_status: dict[str, int]
    price_total: Decimal

    @property
    def messages_final(self) -> int:
        """Return how many messages are final."""
        return sum(self.messages_by_status.get(status, 0) for status in FINALS)

    @property
    def messages_delivered(self) -> int:
        """Return how many messages were delivered whole."""
        return self.messages_by_status.get("Delivered", 0)


class Oracle:
    """
    Takes ledger lines in any order that has each SMS and campaign before its callbacks.

    With `backfilled` it expects what `ask_routee`, after the last line, adds: the truth that no callback told. With
    `watched`, Routee was asked for everything at any moment besides.
    """

    def __init__(self, *, backfilled: bool = False, watched: bool = False) -> None:
        self.backfilled = backfilled
        self._watched = watched
        self.run: Line = {}
        self.sms: dict[str, SmsState] = {}
        self.campaigns: dict[str, CampaignState] = {}
        self.malformed: list[Line] = []
        self.accepted = 0
        self.uncertain = 0
        self.lost = 0

    def take(self, line: Line) -> None:
        """Take in one line; lines that only sum up are passed over."""
        kind = line["type"]
        if kind == "callback":
            self._take_callback(line)
        elif kind == "sms":
            self.sms[line["sms_key"]] = SmsState(line, is_watched=self._watched)
        elif kind == "campaign":
            self.campaigns[line["campaign_tracking_id"]] = CampaignState(line)
        elif kind == "run":
            self.run = line

    def ask_routee(self) -> None:
        """Take in what Routee tells of every SMS and campaign; nothing when it was not asked."""
        if not self.backfilled:
            return
        for sms in self.sms.values():
            sms.ask_routee()
        told = self._told_by_routee()
        for key, counts in self.counts().items():
            if counts.messages_final == self.campaigns[key].facts["total_recipients"]:
                self.campaigns[key].ask_routee(told[key])

    def _told_by_routee(self) -> dict[str, Counter[str]]:
        """
        Return how many messages of each campaign have each status at Routee.

        That is the one which came last: of two finals of the same second another one may stand in the pipeline.
        """
        parts: dict[tuple[str, str], set[str]] = {}
        for sms in self.sms.values():
            if sms.facts["campaign_tracking_id"]:
                message = sms.facts["campaign_tracking_id"], sms.facts["message_id"]
                parts.setdefault(message, set()).add(sms.facts["true"]["status"])
        counts: dict[str, Counter[str]] = {campaign: Counter() for campaign in self.campaigns}
        for (campaign, _), statuses in parts.items():
            counts[campaign][_rolled_up(statuses)] += 1
        return counts

    def _take_callback(self, line: Line) -> None:
        if self.backfilled and not is_uncertain(line) and not was_told(line):
            self.lost += 1
            if line["kind"] == "status":
                self.sms[line["sms_key"]].untold.append(line)
            return
        self.accepted += sum(answer.get("status") == 200 for answer in line["answers"])  # noqa: PLR2004
        self.uncertain += is_uncertain(line)
        self.lost += line["lost"]
        if line["kind"] == "status":
            self.sms[line["sms_key"]].take(line)
        elif line["kind"] == "report":
            self.campaigns[line["campaign_tracking_id"]].take(line)
        else:
            self.malformed.append(line)

    def messages(self) -> Iterator[MessageState]:
        """Yield every message of which a part was accepted."""
        parts: dict[str, list[SmsState]] = {}
        for sms in self.sms.values():
            if sms.state:
                parts.setdefault(sms.facts["message_id"], []).append(sms)
        return (_message(seen) for seen in parts.values())

    def counts(self) -> dict[str, CampaignCounts]:
        """Return the derived counts of every campaign, including campaigns without an accepted callback."""
        messages: dict[str, Counter[str]] = {campaign: Counter() for campaign in self.campaigns}
        parts: dict[str, Counter[str]] = {campaign: Counter() for campaign in self.campaigns}
        prices: dict[str, Decimal] = dict.fromkeys(self.campaigns, Decimal(0))
        for message in self.messages():
            if message.campaign_tracking_id:
                messages[message.campaign_tracking_id][message.status] += 1
                prices[message.campaign_tracking_id] += message.price
        for sms in self.sms.values():
            if sms.state and sms.facts["campaign_tracking_id"]:
                parts[sms.facts["campaign_tracking_id"]][sms.state["status"]] += 1
        return {
            campaign: CampaignCounts(
                messages[campaign].total(),
                dict(messages[campaign]),
                parts[campaign].total(),
                dict(parts[campaign]),
                prices[campaign],
            )
            for campaign in self.campaigns
        }


def _message(parts: list[SmsState]) -> MessageState:
    facts = parts[0].facts
    states = [sms.state for sms in parts if sms.state]
    # A part without a callback yet counts as sent: no callback says otherwise.
    statuses = {state["status"] for state in states} | ({"Sent"} if len(states) < facts["parts"] else set())
    status = _rolled_up(statuses)
    return MessageState(
        message_id=facts["message_id"],
        campaign_tracking_id=facts["campaign_tracking_id"],
        status=status,
        is_final=status in FINALS,
        parts=facts["parts"],
        parts_seen=len(states),
        latency_seconds=max(state["latency_seconds"] for state in states),
        price=sum((Decimal(state["price"]) for state in states), Decimal(0)),
    )


def _rolled_up(statuses: set[str]) -> str:
    """Return the status of a message whose parts have these."""
    return next(word for word in _ROLL_UP if word in statuses)
