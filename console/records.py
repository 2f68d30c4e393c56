"""
The records that the console reads, as far as it shows them: from Kafka and from ClickHouse alike.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec


class Campaign(msgspec.Struct, frozen=True):
    """`campaign.progress`: a campaign in one of its states. Times are texts, in UTC."""

    campaign_tracking_id: str
    revision: int
    last_received_at: str
    first_received_at: str
    generation: int = 0
    name: str | None = None
    campaign_status: str | None = None
    strategy: str | None = None
    total_recipients: int | None = None
    messages: int = 0
    messages_final: int = 0
    messages_delivered: int = 0
    messages_by_status: dict[str, int] = {}
    parts: int = 0
    parts_by_status: dict[str, int] = {}
    reported_by_status: dict[str, int] | None = None
    progress: float | None = None
    delivery_rate: float | None = None
    price_total: str = "0"
    reconciliation: str = "unreported"
    reconciliation_unit: str | None = None
    drift: dict[str, int] = {}
    is_final: bool = False
    conflicts: int = 0
    stale_reports: int = 0
    finished_at: str | None = None

    @property
    def order(self) -> tuple[int, int]:
        """Return what tells the newer of two states."""
        return self.generation, self.revision

    @property
    def total(self) -> int:
        """Return how many messages it has: as reported, or as many as were seen when they are more."""
        return max(self.total_recipients or 0, self.messages)

    @property
    def cost(self) -> str | None:
        """Return the sum of its prices; None where it is 0: Routee told no price."""
        return self.price_total if Decimal(self.price_total) else None

    @property
    def cost_per_delivered(self) -> Decimal | None:
        """Return its cost for each message that was delivered; None without a cost or a delivery."""
        return Decimal(self.cost) / self.messages_delivered if self.cost and self.messages_delivered else None

    @property
    def shown_name(self) -> str:
        """Return its name; without one, the beginning of its id tells it from others."""
        return (self.name or "").strip() or f"No name ({self.campaign_tracking_id[:8]})"


class Cell(msgspec.Struct, frozen=True):
    """`delivery.windows`: SMS of one route that were sent within five minutes."""

    cell: str
    window_start: str
    revision: int
    generation: int = 0
    country: str | None = None
    operator: str | None = None
    sender: str | None = None
    parts: int = 0
    parts_by_status: dict[str, int] = {}
    delivered_by_latency: dict[str, int] = {}

    @property
    def order(self) -> tuple[int, int]:
        """Return what tells the newer of two states."""
        return self.generation, self.revision


class Alarm(msgspec.Struct, frozen=True):
    """`delivery.alarms`: an alarm that opened or closed."""

    alarm: str
    kind: str
    opened_at: str
    since: str
    revision: int
    generation: int = 0
    subject: str = ""
    scope: str = "route"
    country: str | None = None
    operator: str | None = None
    sender: str | None = None
    level: str = "alarm"
    is_open: bool = False
    closed_at: str | None = None
    closed_because: str | None = None
    observed: float = 0.0
    expected: float = 0.0
    n: int = 0
    only_sender: bool = False
    muted_until: str | None = None
    why: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Return what tells the newer of two states."""
        return self.generation, self.revision


CAMPAIGNS: Final = msgspec.json.Decoder(Campaign)
CELLS: Final = msgspec.json.Decoder(Cell)
ALARMS: Final = msgspec.json.Decoder(Alarm)


def campaign_of(row: dict[str, Any]) -> Campaign:
    """Return a campaign from a row of the view `campaigns`, which has the fields of the record."""
    return msgspec.convert(row, Campaign, strict=False)
