"""
The latest status of every SMS, up to a moment of Routee's own time, whether or not a callback told it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import inf

from sandbox.emulator.pull.options import DateMeaning
from sandbox.emulator.traffic.model import Callback, Campaign, Message, Part, Report, Status, StatusCallback
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.population import campaigns, messages
from sandbox.emulator.traffic.reports import campaign_status, listed_counts, roll_up


class Books:
    """
    The latest status of every SMS of a traffic, and the counts of every campaign.

    Time runs with the callbacks that `follow` hands on; after the last one, everything has happened. All messages are
    in memory.
    """

    def __init__(self, traffic: TrafficOptions, start: float) -> None:
        self._now = -inf
        planned = campaigns(traffic, start)
        self._campaigns = {campaign.tracking_id: campaign for campaign in planned}
        self._messages = {message.message_id: message for message in messages(traffic, planned, start)}
        self._of_campaign: dict[str, list[Message]] = {tracking_id: [] for tracking_id in self._campaigns}
        for message in self._messages.values():
            if message.campaign:
                self._of_campaign[message.campaign.tracking_id].append(message)

    def follow(self, callbacks: Iterable[Callback]) -> Iterator[Callback]:
        """Yield the callbacks; Routee's time is that of the latest status among them."""
        for callback in callbacks:
            if isinstance(callback.subject, StatusCallback):
                self._now = max(self._now, callback.subject.change.at)
            yield callback
        self.end()

    def end(self) -> None:
        """Let everything have happened."""
        self._now = inf

    def of_message(self, message_id: str) -> list[StatusCallback]:
        """Return the latest status of each part of a message, none when it is not known."""
        message = self._messages.get(message_id)
        return self._latest([message] if message else [])

    def campaign(self, tracking_id: str) -> Campaign | None:
        """Return a campaign that has begun, None when it is not known."""
        campaign = self._campaigns.get(tracking_id)
        return campaign if campaign and campaign.started_at <= self._now else None

    def of_campaign(self, tracking_id: str) -> list[StatusCallback]:
        """Return the latest status of each SMS of a campaign."""
        return self._latest(self._of_campaign.get(tracking_id, []))

    def between(self, begin: float, end: float, meaning: DateMeaning) -> list[StatusCallback]:
        """Return the latest status of each SMS whose date is from `begin` to `end`, both included."""
        return [entry for entry in self._latest(self._messages.values()) if begin <= _date(entry, meaning) <= end]

    def report(self, campaign: Campaign) -> Report:
        """Return the counts of a campaign: a message that is not queued yet counts as queued."""
        known = self._of_campaign[campaign.tracking_id]
        counts = Counter(roll_up([self._status(part) for part in message.parts]) for message in known)
        return Report(campaign, campaign_status(counts, campaign.recipients), listed_counts(counts))

    def _status(self, part: Part) -> Status:
        return next((change.status for change in reversed(part.changes) if change.at <= self._now), Status.QUEUED)

    def _latest(self, known: Iterable[Message]) -> list[StatusCallback]:
        """Return the latest status of each part, the newest first: the order moves while SMS change."""
        found = []
        for message in known:
            if message.queued_at > self._now:
                continue
            for part in message.parts:
                changes = [change for change in part.changes if change.at <= self._now]
                found.append(StatusCallback(message, part, changes[-1] if changes else part.changes[0]))
        found.sort(key=lambda entry: (-entry.change.at, entry.part.sms_id))
        return found


def _date(entry: StatusCallback, meaning: DateMeaning) -> float:
    return int(entry.message.queued_at) if meaning is DateMeaning.CREATED else entry.change.updated_at
