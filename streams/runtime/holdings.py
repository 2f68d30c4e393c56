"""
The objects that our subclasses of Faust's services share: Faust makes them and gives them the app only.
"""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol, cast

from faust.types import TP, AppT

from streams.errors import Die, die
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.succession.reader import Reader
from streams.state.succession.restore import Restorable
from streams.state.succession.standby import Standby
from streams.state.succession.takeover import Takeover


class Table(Restorable, Protocol):
    """The part of a checkpointed table that our Faust subclasses use."""

    source: str

    def durable(self, partition: int) -> int | None:
        """Return the source offset that may be committed; None when none may be."""

    def check_committed(self) -> None:
        """End the process when the group has committed more than the rows contain."""


@dataclass(slots=True)
class Holdings:
    """The shared objects of one worker. `far` are the takeovers still to come, fewest missing records first."""

    reader: Reader
    standby: Standby
    before_joining: Callable[[], Awaitable[None]]
    tables: list[Table]
    die: Die = die
    guards: Guards = ALL_GUARDS
    far: list[Takeover] = field(default_factory=list)

    @property
    def unread(self) -> AbstractSet[TP]:
        """The assigned source partitions that must not be read before their takeover."""
        return {TP(*takeover.source) for takeover in self.far}


class _Holder(Protocol):
    holdings: Holdings


def held_by(app: AppT) -> Holdings:
    """Return the holdings of the worker with this app."""
    return cast("_Holder", app).holdings
