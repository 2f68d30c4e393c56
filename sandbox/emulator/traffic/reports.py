"""
Case 1: when Routee reports on a campaign, and with which counts.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from sandbox.emulator.traffic.model import (
    FINALS,
    Campaign,
    CampaignStatus,
    Message,
    Part,
    Report,
    Status,
    StatusCallback,
    Strategy,
)

_STEPS: Final = 5
_ALWAYS_LISTED: Final = (Status.QUEUED, Status.SENT, Status.FAILED, Status.DELIVERED, Status.UNDELIVERED)
_WORST_FIRST: Final = (Status.FAILED, Status.UNSENT, Status.UNDELIVERED)


class Reporter:
    """
    Routee's own books on one campaign: counts of messages by status, and the counts last reported.

    Every message counts as queued from the start. `OnChange` reports whenever the campaign's status changes or the
    count of a status passes a fifth of the campaign; `OnCompletion` reports once, when every message is final.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._counts: Counter[Status] = Counter({Status.QUEUED: campaign.recipients})
        self._parts: dict[str, Status] = {}
        self._reported: tuple[CampaignStatus, tuple[int, ...]] | None = None

    def opening(self) -> Iterator[Report]:
        """Yield the report with which a campaign begins."""
        return self._report()

    def take(self, callback: StatusCallback) -> Iterator[Report]:
        """Book one true change; yield the report that it is worth, if any."""
        message, part = callback.message, callback.part
        before = self._standing(message)
        self._parts[message.sms_key(part)] = callback.change.status
        after = self._standing(message)
        self._counts[before] -= 1
        self._counts[after] += 1
        return self._report()

    def _standing(self, message: Message) -> Status:
        return roll_up([self._status(message, part) for part in message.parts])

    def _status(self, message: Message, part: Part) -> Status:
        return self._parts.get(message.sms_key(part), Status.QUEUED)

    def _report(self) -> Iterator[Report]:
        status = campaign_status(self._counts, self._campaign.recipients)
        state = (status, tuple(self._counts[name] * _STEPS // self._campaign.recipients for name in Status))
        finished = status is CampaignStatus.FINISHED
        if (
            state == self._reported
            or self._over()
            or (self._campaign.strategy is Strategy.ON_COMPLETION and not finished)
        ):
            return
        self._reported = state
        yield Report(self._campaign, status, listed_counts(self._counts))

    def _over(self) -> bool:
        return self._reported is not None and self._reported[0] is CampaignStatus.FINISHED


def campaign_status(counts: Counter[Status], recipients: int) -> CampaignStatus:
    """Return the state of a campaign from the counts of its messages."""
    if sum(counts[status] for status in FINALS) == recipients:
        return CampaignStatus.FINISHED
    if counts[Status.QUEUED] == recipients:
        return CampaignStatus.QUEUED
    return CampaignStatus.RUNNING if counts[Status.QUEUED] else CampaignStatus.SENT


def listed_counts(counts: Counter[Status]) -> dict[str, int]:
    """Return the counts in the form once seen: zeros are listed, save for Unsent."""
    listed = {status.value: counts[status] for status in _ALWAYS_LISTED}
    unsent = counts[Status.UNSENT]
    return listed | ({Status.UNSENT.value: unsent} if unsent else {})


def roll_up(parts: list[Status]) -> Status:
    """Return the status of a message: its least advanced part; of finals the worst, Delivered only if all are."""
    for status in (Status.QUEUED, Status.SENT, *_WORST_FIRST):
        if status in parts:
            return status
    return Status.DELIVERED
