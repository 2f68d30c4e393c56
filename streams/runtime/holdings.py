"""
What a worker holds. Faust makes its own parts, and gives each of them the app and nothing else: they share this.
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
    """What Faust's parts need of a checkpointed table."""

    source: str

    def durable(self, partition: int) -> int | None:
        """Return the source offset that may be committed; None when nothing may be."""

    def check_committed(self) -> None:
        """End the process when rows are missing."""


@dataclass(slots=True)
class Holdings:
    """One worker's; `far` are partitions that are still to be taken over, those that lack least first."""

    reader: Reader
    standby: Standby
    before_joining: Callable[[], Awaitable[None]]
    tables: list[Table]
    die: Die = die
    guards: Guards = ALL_GUARDS
    far: list[Takeover] = field(default_factory=list)

    @property
    def unread(self) -> AbstractSet[TP]:
        """The partitions of the sources that are assigned, and not to be read before they are taken over."""
        return {TP(*takeover.source) for takeover in self.far} if self.guards.unread else frozenset()


class _Holder(Protocol):
    holdings: Holdings


def held_by(app: AppT) -> Holdings:
    """Return what a worker holds, given its app as Faust hands it to everything."""
    return cast("_Holder", app).holdings
