"""
The answers of streams over HTTP, as models; the OpenAPI document is generated from them.

An SMS is answered as `records.SmsStatus`, a campaign as `records.CampaignProgress`. Fields may be added; none is
renamed or removed.
"""

from enum import StrEnum
from typing import Final

from pydantic import Field

from streams.contract.records import CampaignProgress, DeliveryAlarm, DeliveryWindow, Money, Record, SmsStatus, Time


class MessageAnswer(Record):
    """A message, rolled up from its SMS."""

    message_id: str = Field(description="Routee's id of the message")
    campaign_tracking_id: str | None = Field(description="null for the Single API")
    status: str = Field(description="of its least advanced part; when all are final, the worst")
    is_final: bool = Field(description="true when all parts are final")
    parts: int = Field(ge=1, description="how many parts the message has, as far as is known")
    parts_seen: int = Field(ge=1, description="how many of them a callback came for")
    latency_seconds: float | None = Field(description="of its slowest part")
    price: Money | None = Field(description="the sum over the parts seen; null when none has a price")
    sms: list[SmsStatus] = Field(description="its parts, each as of its latest change")
    previous_status: str | None = Field(description="the status before the last change of the message")
    revision: int = Field(ge=1, description="1, 2, 3 … per message: how many changes were applied to its parts")
    generation: int = Field(ge=0, description="grows when revisions begin again: newest is (generation, revision)")


class CampaignState(StrEnum):
    """The campaigns of a list: not final yet, or final."""

    RUNNING = "running"
    FINISHED = "finished"


PAGE_MOST: Final = 100
"""The most campaigns, or cells, of a page."""


class CampaignPage(Record):
    """Campaigns, newest first."""

    campaigns: list[CampaignProgress] = Field(max_length=PAGE_MOST, description="each as of its latest change")
    next: str | None = Field(description="`cursor` of the next page; null when this is the last one")


class DeliveryPage(Record):
    """Cells of deliveries, newest window first."""

    cells: list[DeliveryWindow] = Field(max_length=PAGE_MOST, description="each as of its latest change")
    next: str | None = Field(description="`cursor` of the next page; null when this is the last one")


class AlarmMute(Record):
    """A subject that is muted."""

    subject: str = Field(description="as that of an alarm; of a route also its senders are muted")
    until: Time = Field(description="the end")


class AlarmList(Record):
    """Alarms of deliveries, the one that changed last first: all open ones, and the last of the closed ones."""

    alarms: list[DeliveryAlarm] = Field(description="each as it was told last")
    mutes: list[AlarmMute] = Field(description="subjects whose notices are withheld")


class Problem(Record):
    """Why there is no other answer: problem details (RFC 9457), as `application/problem+json`."""

    type: str = Field(description="about:blank: the status says what kind of problem it is")
    title: str = Field(description="the status in words")
    status: int = Field(ge=400, le=599, description="the status of the answer")
    detail: str | None = Field(default=None, description="what is wrong, and what to do; for people")
    searched: list[int] = Field(default=[], description="of an SMS: partitions that were searched without success")
