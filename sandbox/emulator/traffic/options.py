"""
The options of the traffic.
"""

from dataclasses import dataclass

from sandbox.emulator.traffic.model import Strategy
from sandbox.emulator.traffic.world import ROUTES


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """
    Size and faults of the traffic. Shares are probabilities from 0 to 1.

    With several `strategies` the campaigns take turns. `duplicates`, `reorder` and `lost` are shares of callbacks,
    `multipart` of messages, `conflicts` of SMS (a different final status after the first), `malformed` of callbacks
    that are followed by a malformed body, `legacy` of one-part messages that come in the shape of 2016. The single
    messages are queued within `singles_seconds`, and `breaks` operators break for a while meanwhile (`breaks.py`). The
    first `operators` of the world have all traffic.
    """

    seed: int
    callback_url: str
    campaigns: int = 3
    recipients: int = 1000
    singles: int = 300
    strategies: tuple[Strategy, ...] = (Strategy.ON_CHANGE,)
    duplicates: float = 0.05
    reorder: float = 0.1
    lost: float = 0.0
    multipart: float = 0.1
    conflicts: float = 0.001
    malformed: float = 0.001
    legacy: float = 0.02
    singles_seconds: float = 180.0
    breaks: int = 0
    operators: int = len(ROUTES)
