"""
Faults of the provider: all routes of an account fall at once, and the account's alarm has to say so.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.domain.alarms.scan import DELIVERY_DROP
from streams.domain.alarms.watch import ACTIVE_SMS, ACTIVE_WINDOWS, fell_at_once
from tests.bench.alarms.scanning import drop_events
from tests.bench.alarms.traffic import DAY, HOUR, Counts, Operator, delivered

_DAYS: Final = 3
_ROUTES: Final = 20
_WATCHED_MINUTES: Final = 60


class Together(NamedTuple):
    """
    One fault of a part of the routes: the minutes until the account's alarm, infinite when none came.

    `alone` is how many alarms of routes were told before it, of `active` routes with traffic.
    """

    after: float
    alone: int
    active: int


def together(seed: int, fall: float, part: float) -> Together:
    """Return what comes of a fall of that many points on a part of the routes, in the daytime of the last day."""
    rng = np.random.default_rng([seed, round(fall * 100), round(part * 100)])
    windows = _DAYS * DAY
    volumes = np.exp(np.linspace(np.log(5), np.log(20_000), _ROUTES))
    struck = rng.permutation(_ROUTES)[: round(part * _ROUTES)]
    began = ((_DAYS - 1) * DAY + rng.uniform(8, 20) * HOUR) * 5
    opened: dict[str, int] = {}
    busy = 0
    for at, volume in enumerate(volumes):
        operator = Operator.drawn(rng, windows)
        senders = int(rng.integers(2, 5))
        sent = rng.poisson(volume / HOUR * rng.dirichlet([4.0] * senders), (windows, senders))
        within = _deliveries(rng, operator, sent, began / 5, fall if at in struck else 0.0)
        last = int(began // 5)
        busy += int(sent[last - ACTIVE_WINDOWS : last].sum()) >= ACTIVE_SMS
        for event in drop_events(DELIVERY_DROP, tuple(f"api-{i}" for i in range(senders)), sent, within):
            finding, is_new = event.finding, event.closed is None and event.minute >= began
            if is_new and finding.scope == "route" and finding.level == "alarm":
                opened.setdefault(f"{at:02}", event.minute)
    return _told(opened, busy, began)


def _told(opened: dict[str, int], active: int, began: float) -> Together:
    for minute in sorted({*opened.values()}):
        fell = {name: at for name, at in opened.items() if at <= minute}
        if minute <= began + _WATCHED_MINUTES and fell_at_once(fell, active, minute):
            return Together(minute - began, sum(at < minute for at in opened.values()), active)
    return Together(float("inf"), len(opened), active)


def _deliveries(rng: np.random.Generator, operator: Operator, sent: Counts, begin: float, fall: float) -> Counts:
    windows, senders = sent.shape
    usual = operator.within(operator.share, np.ones(windows))
    covered = np.clip(np.arange(windows) + 1 - begin, 0, 1)
    lost = np.clip(covered * fall / operator.share.mean(), 0, 1)
    chance = usual * (1 - lost)[:, None]
    return np.stack([delivered(rng, sent[:, i], chance) for i in range(senders)], axis=1)
