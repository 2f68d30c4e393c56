"""
The emulator's words: campaigns, SMS with the changes of their lives, reports, and the callbacks made of them.

Independent of the product on purpose: an expectation that shares code with what it checks proves nothing.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Routee's words for the state of an SMS."""

    QUEUED = "Queued"
    SENT = "Sent"
    DELIVERED = "Delivered"
    UNDELIVERED = "Undelivered"
    FAILED = "Failed"
    UNSENT = "Unsent"

    @property
    def is_final(self) -> bool:
        """Return whether Routee calls this the end of an SMS."""
        return self in FINALS


FINALS: Final = frozenset({Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.UNSENT})


class Strategy(StrEnum):
    """When Routee calls back: at every change, or once at the end."""

    ON_CHANGE = "OnChange"
    ON_COMPLETION = "OnCompletion"


class CampaignStatus(StrEnum):
    """Routee's words for the state of a campaign, in the order in which they come."""

    QUEUED = "Queued"
    RUNNING = "Running"
    SENT = "Sent"
    FINISHED = "Finished"


@dataclass(frozen=True, slots=True)
class Route:
    """
    The way to the phones of one operator.

    `share` is its part of all traffic; `outcomes` are the weights of Delivered, Undelivered, Failed and Unsent;
    `latency` is the median time from Sent to Delivered in seconds, `spread` the sigma of its logarithm.
    """

    country: str
    dial: str
    digits: int
    operator: str
    share: float
    price: Decimal
    latency: float
    spread: float
    outcomes: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Occasion:
    """The purpose of a message: the sender's name, the text, and the label."""

    name: str
    sender: str
    label: str
    application: str
    text: str
    service: str = "Sms"


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign as it was ordered. Times are seconds since 1970-01-01 UTC; it sends `per_second` messages."""

    tracking_id: str
    occasion: Occasion
    strategy: Strategy
    recipients: int
    callback_url: str
    started_at: float
    per_second: float

    @property
    def name(self) -> str:
        """Return the name it was given."""
        return self.occasion.name


@dataclass(frozen=True, slots=True)
class Change:
    """One change of status in the life of an SMS; `price` is of the part, with 8 decimals."""

    status: Status
    at: float
    price: Decimal
    latency: int = 0
    detail: str | None = None
    description: str | None = None

    @property
    def updated_at(self) -> int:
        """Return the time that Routee reports: whole seconds."""
        return int(self.at)


@dataclass(frozen=True, slots=True)
class Part:
    """One SMS of a message, with its whole life in `changes`, oldest first."""

    number: int
    sms_id: str
    changes: tuple[Change, ...]


class CampaignId(StrEnum):
    """In which of the three possible ways a single SMS says that it belongs to no campaign."""

    ABSENT = "absent"
    NULL = "null"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message to one recipient, in one part or more.

    A `legacy` one is called back in the shape of 2016: without smsId, part, label and reason.
    """

    message_id: str
    campaign: Campaign | None
    no_campaign: CampaignId
    occasion: Occasion
    route: Route
    recipient: str
    groups: tuple[str, ...]
    text: str
    strategy: Strategy
    legacy: bool
    queued_at: float
    parts: tuple[Part, ...]

    def sms_key(self, part: Part) -> str:
        """Return what the pipeline must call this part."""
        return f"{self.message_id}#1" if self.legacy else part.sms_id


@dataclass(frozen=True, slots=True)
class StatusCallback:
    """Case 2 (an SMS of a campaign) or Case 3 (a single SMS): one change of one part."""

    message: Message
    part: Part
    change: Change


@dataclass(frozen=True, slots=True)
class Report:
    """Case 1: a snapshot of a campaign's counts, in messages."""

    campaign: Campaign
    campaign_status: CampaignStatus
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no valid callback. `reasons` are the reasons that the pipeline may give for refusing them."""

    kind: str
    body: bytes
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Callback:
    """
    One POST that Routee makes: the `number` is its place in the order of sending, starting with 1.

    `copy` marks a repetition of an earlier body; `lost` a body that must not be sent: Routee never gets it through.
    """

    number: int
    subject: StatusCallback | Report | Malformed
    body: bytes
    copy: bool
    lost: bool
    at: float
    """When it comes through in Routee's time, in seconds since 1970-01-01 UTC."""
