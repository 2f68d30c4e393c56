"""
Campaigns and messages, with their recipients, in the order in which they are queued.
"""

from collections.abc import Iterator
from heapq import merge
from random import Random
from typing import Final

from sandbox.emulator.traffic.breaks import Break, broken, held
from sandbox.emulator.traffic.breaks import breaks as planned_breaks
from sandbox.emulator.traffic.chance import stream, uuid
from sandbox.emulator.traffic.lifecycle import contradicted, life, outcome
from sandbox.emulator.traffic.model import (
    Campaign,
    CampaignId,
    Change,
    Message,
    Occasion,
    Part,
    Route,
    Status,
    Strategy,
)
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.world import GROUPS, LONG_TEXT, NAMES, OCCASIONS, ONE_TIME_CODE, ROUTES, SINGLES

# Routee queues a campaign this many times faster than it sends it.
_QUEUED_FASTER: Final = 2
_CAMPAIGN_SECONDS: Final = (60.0, 150.0)
_CAMPAIGN_GAP_SECONDS: Final = (5.0, 30.0)
_SENDING_SECONDS: Final = (0.1, 2.5)
_ONE_TIME_CODES: Final = 0.1
_PART_ENDS_ITS_OWN_WAY: Final = 0.05
_MAX_PARTS: Final = 4
_ROUTE_SHARES: Final = [route.share for route in ROUTES]


def campaigns(options: TrafficOptions, start: float) -> list[Campaign]:
    """Return the campaigns, each starting some seconds after the one before."""
    random = stream(options.seed, "campaigns")
    planned = []
    for index in range(options.campaigns):
        planned.append(
            Campaign(
                tracking_id=uuid(random),
                occasion=OCCASIONS[index % len(OCCASIONS)],
                strategy=options.strategies[index % len(options.strategies)],
                recipients=options.recipients,
                callback_url=options.callback_url,
                started_at=start,
                per_second=max(1.0, options.recipients / random.uniform(*_CAMPAIGN_SECONDS)),
            )
        )
        start += random.uniform(*_CAMPAIGN_GAP_SECONDS)
    return planned


def messages(options: TrafficOptions, planned: list[Campaign], start: float) -> Iterator[Message]:
    """Yield every message of every campaign and every single one, by the time at which it is queued."""
    broken_for_a_while = planned_breaks(options, start)
    sources = [_of_campaign(options, campaign, broken_for_a_while) for campaign in planned]
    return merge(*sources, _singles(options, start, broken_for_a_while), key=lambda message: message.queued_at)


def _of_campaign(options: TrafficOptions, campaign: Campaign, breaks: list[Break]) -> Iterator[Message]:
    writer = _Writer(stream(options.seed, campaign.tracking_id), options, campaign, breaks)
    for index in range(campaign.recipients):
        queued_at = campaign.started_at + index / (_QUEUED_FASTER * campaign.per_second)
        sent_at = campaign.started_at + index / campaign.per_second
        yield writer.message(campaign.occasion, campaign.strategy, queued_at, max(queued_at, sent_at))


def _singles(options: TrafficOptions, start: float, breaks: list[Break]) -> Iterator[Message]:
    random = stream(options.seed, "singles")
    writer = _Writer(random, options, None, breaks)
    for index in range(options.singles):
        occasion = ONE_TIME_CODE if random.random() < _ONE_TIME_CODES else random.choice(SINGLES)
        at = start + index * options.singles_seconds / options.singles
        yield writer.message(occasion, options.strategies[index % len(options.strategies)], at, at)


class _Writer:
    """Makes the messages of one campaign, or the single ones; draws what differs between them from one stream."""

    def __init__(self, random: Random, options: TrafficOptions, campaign: Campaign | None, breaks: list[Break]) -> None:
        self._random = random
        self._options = options
        self._campaign = campaign
        self._breaks = breaks

    def message(self, occasion: Occasion, strategy: Strategy, queued_at: float, sent_at: float) -> Message:
        """Return a message queued and sent at about these times, with the whole life of every part."""
        random = self._random
        parts = random.randint(2, _MAX_PARTS) if random.random() < self._options.multipart else 1
        number = self._options.operators
        route = random.choices(ROUTES[:number], _ROUTE_SHARES[:number])[0]
        return Message(
            message_id=uuid(random),
            campaign=self._campaign,
            no_campaign=random.choice(list(CampaignId)),
            occasion=occasion,
            route=route,
            recipient=f"{route.dial}{random.randrange(10**route.digits):0{route.digits}d}",
            groups=random.choice(GROUPS),
            text=self._text(occasion, parts),
            strategy=strategy,
            legacy=parts == 1 and random.random() < self._options.legacy,
            queued_at=queued_at,
            parts=self._parts(route, parts, queued_at, sent_at + random.uniform(*_SENDING_SECONDS)),
        )

    def _text(self, occasion: Occasion, parts: int) -> str:
        code = str(self._random.randrange(100_000, 1_000_000))
        text = occasion.text.format(name=self._random.choice(NAMES), code=code)
        return text + LONG_TEXT * (parts - 1)

    def _parts(self, route: Route, count: int, queued_at: float, sent_at: float) -> tuple[Part, ...]:
        usual, route = route, broken(route, self._breaks, sent_at)
        final = self._outcome(route)
        return tuple(
            Part(number, uuid(self._random), held(self._changes(route, queued_at, sent_at, final), usual, self._breaks))
            for number in range(1, count + 1)
        )

    def _changes(self, route: Route, queued_at: float, sent_at: float, final: Status) -> tuple[Change, ...]:
        random = self._random
        own_way = random.random() < _PART_ENDS_ITS_OWN_WAY
        changes = life(random, route, queued_at, sent_at, self._outcome(route) if own_way else final)
        return contradicted(random, route, changes) if random.random() < self._options.conflicts else changes

    def _outcome(self, route: Route) -> Status:
        return outcome(self._random, route, campaign=self._campaign is not None)
