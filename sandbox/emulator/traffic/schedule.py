"""
The order of everything: the changes of every SMS, the callbacks about them, and the faults on their way.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

from sandbox.emulator.traffic.bodies import report_body, status_body
from sandbox.emulator.traffic.chance import stream
from sandbox.emulator.traffic.faults import Arrival, arrivals
from sandbox.emulator.traffic.malformed import malformed
from sandbox.emulator.traffic.model import Callback, Message, Report, StatusCallback, Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.population import campaigns, messages
from sandbox.emulator.traffic.reports import Reporter

Subject = StatusCallback | Report


def schedule(options: TrafficOptions, start: float) -> Iterator[Callback]:
    """
    Yield every callback in the order of sending; the same arguments give the same callbacks, byte for byte.

    `start` is when the first campaign starts, in seconds since 1970-01-01 UTC. An SMS ends within 24 hours.
    Memory grows with the messages under way, not with all of them.
    """
    changes = _changes(messages(options, campaigns(options, start), start))
    return _numbered(options, _arrived(options, _called_back(changes)))


def _changes(sent: Iterator[Message]) -> Iterator[StatusCallback]:
    """Yield every true change of every SMS in the order of time."""
    tie = count()
    waiting: list[tuple[float, int, StatusCallback]] = []
    for message in sent:
        while waiting and waiting[0][0] <= message.queued_at:
            yield heappop(waiting)[2]
        for part in message.parts:
            for change in part.changes:
                heappush(waiting, (change.at, next(tie), StatusCallback(message, part, change)))
    while waiting:
        yield heappop(waiting)[2]


def _called_back(changes: Iterator[StatusCallback]) -> Iterator[tuple[float, Subject]]:
    """Yield what Routee calls back about the changes, and when: the strategy decides."""
    reporters: dict[str, Reporter] = {}
    for callback in changes:
        campaign, at = callback.message.campaign, callback.change.at
        if campaign and campaign.tracking_id not in reporters:
            reporters[campaign.tracking_id] = Reporter(campaign)
            yield from ((at, report) for report in reporters[campaign.tracking_id].opening())
        if callback.message.strategy is Strategy.ON_CHANGE or callback.change.status.is_final:
            yield at, callback
        if campaign:
            yield from ((at, report) for report in reporters[campaign.tracking_id].take(callback))


def _arrived(options: TrafficOptions, subjects: Iterator[tuple[float, Subject]]) -> Iterator[tuple[Subject, Arrival]]:
    """Yield what comes through, in the order in which it does."""
    random = stream(options.seed, "faults")
    tie = count()
    under_way: list[tuple[float, int, Subject, Arrival]] = []
    for at, subject in subjects:
        while under_way and under_way[0][0] <= at:
            yield heappop(under_way)[2:]
        for arrival in arrivals(random, options, at):
            heappush(under_way, (arrival.at, next(tie), subject, arrival))
    while under_way:
        yield heappop(under_way)[2:]


def _numbered(options: TrafficOptions, arrived: Iterator[tuple[Subject, Arrival]]) -> Iterator[Callback]:
    """Yield callbacks ready to be sent, malformed ones between them."""
    random = stream(options.seed, "malformed")
    numbers = count(1)
    for subject, arrival in arrived:
        body = status_body(subject) if isinstance(subject, StatusCallback) else report_body(subject)
        yield Callback(next(numbers), subject, body, arrival.copy, arrival.lost, arrival.at)
        if random.random() < options.malformed:
            bad = malformed(random)
            yield Callback(next(numbers), bad, bad.body, copy=False, lost=False, at=arrival.at)
