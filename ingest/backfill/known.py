"""
The state that the topics tell, as far as the backfill needs it: the known status of each SMS, and the gaps. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ingest.backfill.tracking import ENDED, FinalsRule, Report, Tracked, comparable, date_ms, rank, standing

_FINAL_RANK: Final = 2
_UNTOLD: Final = frozenset({"behind", "mixed", "underived", "unreported"})
"""Verdicts on campaigns that Routee may know more about."""

_price: Final = lru_cache(maxsize=4096)(Decimal)
"""Prices repeat, and each Decimal takes 104 bytes."""


_word: Final = lru_cache(maxsize=4096)(str)
"""Statuses and campaigns repeat, too: each text is kept once."""


class KnownSms(NamedTuple):
    """One SMS as its newest record has it."""

    key: str
    sms_id: str | None
    part: int | None
    status: str
    date_ms: int


@dataclass(slots=True)
class KnownMessage:
    """A message: its SMS, and when it was first and last heard of, in ms."""

    message_id: str
    campaign_id: str | None
    first_ms: int
    last_ms: int
    is_final: bool
    price: Decimal = Decimal(0)
    sms: list[KnownSms] = field(default_factory=list)

    def find(self, sms_id: str | None, part: int | None) -> KnownSms | None:
        """Return the SMS by its id, by its part when either side has no id: the rule of streams."""
        wanted, of_part = sms_id and sms_id.lower(), None
        for sms in self.sms:
            if wanted and sms.sms_id:
                if sms.sms_id.lower() == wanted:
                    return sms
            elif (sms.part or 1) == (part or 1):
                of_part = of_part or sms
        return of_part

    def put(self, sms: KnownSms) -> None:
        """Put in an SMS, in the place of the one with its key."""
        self.sms = [*(other for other in self.sms if other.key != sms.key), sms]


@dataclass(frozen=True, slots=True)
class KnownCampaign:
    """A campaign as its newest record has it; times in ms."""

    campaign_id: str
    name: str | None
    first_ms: int
    last_ms: int
    recipients: int
    reconciliation: str
    status: str | None
    reported: Mapping[str, int]

    @property
    def may_lack(self) -> bool:
        """Tell whether callbacks of it may be lost, as its verdict has it."""
        return self.reconciliation in _UNTOLD

    @property
    def has_ended(self) -> bool:
        """Tell whether its last report was told: after it, Routee reports no more."""
        return (self.status or "").lower() in ENDED


class Known:
    """
    The state that the topics have told so far. SMS that are final and older than `oldest_ms` are left out.

    `finals` is the rule of streams for two finals that differ.
    """

    def __init__(self, oldest_ms: int = 0, finals: FinalsRule = "latest") -> None:
        self.messages: dict[str, KnownMessage] = {}
        self.campaigns: dict[str, KnownCampaign] = {}
        self._oldest_ms = oldest_ms
        self._finals: FinalsRule = finals
        self._stored_reports: dict[str, bytes] = {}

    def take_sms(self, record: Mapping[str, Any]) -> None:
        """Take in a record of `sms.status`; the last one of an SMS stands."""
        key, last = _key(record["message_id"]), date_ms(record["received_at"])
        whole = record.get("message_is_final")  # records of 0.1.0 do not tell it
        is_final = bool(record["is_final"] if whole is None else whole)
        message = self.messages.get(key)
        if message is None:
            if is_final and last < self._oldest_ms:
                return
            message = KnownMessage(record["message_id"], None, date_ms(record["first_received_at"]), last, is_final)
            self.messages[key] = message
        message.campaign_id = _word(record["campaign_tracking_id"] or "") or message.campaign_id
        message.first_ms = min(message.first_ms, date_ms(record["first_received_at"]))
        message.last_ms = max(message.last_ms, last)
        message.is_final = is_final
        message.price = _price(record.get("message_price") or record["price"] or "0")
        sms_key, sms_id = record["sms_key"], record["sms_id"]
        sms_id = sms_key if sms_id == sms_key else sms_id
        # The time of a status is that of its receipt where Routee gave none, which goes before no date of Routee's.
        dated = record["final_at"] if record["is_final"] else record["status_updated_at"]
        status, date = _word(record["status"]), date_ms(dated)
        message.put(KnownSms(sms_key, sms_id, record["part"], status, date))

    def take_campaign(self, record: Mapping[str, Any]) -> None:
        """Take in a record of `campaign.progress`; the last one of a campaign stands."""
        self.campaigns[record["campaign_tracking_id"].lower()] = KnownCampaign(
            record["campaign_tracking_id"],
            record["name"],
            date_ms(record["first_received_at"]),
            date_ms(record["last_received_at"]),
            max(record["total_recipients"] or 0, record["messages"]),
            record["reconciliation"],
            record["campaign_status"],
            {word: count for word, count in (record["reported_by_status"] or {}).items() if count},
        )

    def note(self, found: Tracked, now_ms: int) -> None:
        """Remember an SMS that was written, before streams tells it."""
        key = _key(found.message_id)
        message = self.messages.get(key)
        if message is None:
            message = KnownMessage(found.message_id, found.campaign_id, now_ms, now_ms, is_final=False)
            self.messages[key] = message
        sms = message.find(found.sms_id, found.part)
        place = sms.key if sms else found.sms_id or f"#{found.part or 1}"
        known_id = found.sms_id or (sms and sms.sms_id)
        message.put(KnownSms(place, known_id, found.part, found.status, found.date_ms))
        message.last_ms = now_ms

    def campaign_of(self, message_id: str) -> str | None:
        """Return the campaign of a message that is known."""
        message = self.messages.get(message_id.lower())
        return message.campaign_id if message else None

    def healing(self, found: Tracked) -> str | None:
        """
        Return the kind of gap that a tracked SMS heals (`missing`, `final`, `status`), None when it tells nothing new.

        A status that is further than the known one is new, and so is one of the same rank that differs from it and is
        dated later, of finals by the rule `first` earlier; of finals of one moment the one that streams prefers.
        """
        message = self.messages.get(found.message_id.lower())
        sms = message and message.find(found.sms_id, found.part)
        if not sms:
            return "missing"
        mine = standing(sms.status, sms.date_ms, self._finals)
        theirs = standing(found.status, found.date_ms, self._finals)
        if theirs <= mine or comparable(found.status) == comparable(sms.status):
            return None
        return "final" if rank(found.status) == _FINAL_RANK else "status"

    def note_report(self, campaign_id: str, found: Report) -> None:
        """Remember a report that was written: streams may never tell it as it was, when a number cannot be read."""
        self._stored_reports[campaign_id.lower()] = found.body

    def is_told(self, campaign_id: str, found: Report) -> bool:
        """Tell whether a campaign's report says nothing new. One without a status says nothing about it."""
        if self._stored_reports.get(campaign_id.lower()) == found.body:
            return True
        known = self.campaigns.get(campaign_id.lower())
        if known is None or (found.status and comparable(known.status or "") != comparable(found.status)):
            return False
        return _by_word(known.reported) == _by_word(found.counts)

    def named(self, name: str) -> list[str]:
        """Return the ids of the campaigns with a name."""
        return [campaign.campaign_id for campaign in self.campaigns.values() if campaign.name == name]

    def lacking(self, before_ms: int) -> Iterator[KnownCampaign]:
        """Yield the campaigns that may lack callbacks or reports, and of which nothing came since a moment."""
        for campaign in self.campaigns.values():
            if (campaign.may_lack or not campaign.has_ended) and campaign.last_ms < before_ms:
                yield campaign

    def forget(self, before_ms: int) -> None:
        """Let go of the final messages of which nothing came since a moment, also of those told later."""
        self._oldest_ms = before_ms
        old = [key for key, one in self.messages.items() if one.is_final and one.last_ms < before_ms]
        for key in old:
            del self.messages[key]

    def unsettled(self, before_ms: int) -> Iterator[KnownMessage]:
        """Yield the messages that are not final, or lack parts, and of which nothing came since a moment."""
        for message in self.messages.values():
            if not message.is_final and message.last_ms < before_ms:
                yield message


def _by_word(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the numbers by word; those of two spellings of one are added, as in streams."""
    added: dict[str, int] = {}
    for status, number in counts.items():
        word = comparable(status)
        added[word] = added.get(word, 0) + number
    return added


def _key(message_id: str) -> str:
    """Return the id in lower case; the same text where it is already, so that memory holds it once."""
    lower = message_id.lower()
    return message_id if lower == message_id else lower
