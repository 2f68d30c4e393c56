"""
The settings that decide about SMS callbacks, in the form that the pure core takes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

MOST_CELLS: Final = 2000
"""The most cells of a window and source partition, by default."""

CAMPAIGN_DAYS: Final = 400
"""The state of a campaign is kept this long after its last change; longer where messages are kept very long."""
CAMPAIGN_MS: Final = CAMPAIGN_DAYS * 24 * HOUR_MS

_RETENTIONS: Final = 8
"""The counts of a campaign are kept for this many times the retention at least: twice as long as any message."""

LEAST_RETENTION_HOURS: Final = 48
"""The least retention that can be set, in any version; Routee retries for up to 40 hours."""


class Erased(Protocol):
    """The erasures that hold in a partition."""

    @property
    def at(self) -> Callable[[str | None], int]:
        """Returns the moment of a recipient's latest erasure in ms, 0 when there is none."""

    @property
    def latest(self) -> int:
        """The moment of the latest of all erasures in ms: no SMS is covered whose moments are all later."""

    @property
    def digest(self) -> bytes:
        """The digest of all these erasures, for the records in which they hold."""

    def covers_body(self, body: bytes, moments: Iterable[int]) -> bool:
        """Tell whether a refused body has a recipient whose erasure any of the moments (ms, 0: none) lies before."""


@dataclass(frozen=True, slots=True)
class Policy:
    """
    The operator's choices; the settings of the same names (`STREAMS_…`) explain each.

    Raises ValueError for `hmac` without a key: trying all numbers undoes an unkeyed hash of a phone number.
    """

    conflicting_finals: Literal["latest", "first"] = "latest"
    retention_hours: int = 192
    recipient: Literal["keep", "mask", "hmac", "drop"] = "keep"
    hmac_key: str = field(default="", repr=False)
    message_text: Literal["keep", "drop"] = "keep"
    delivery_cells: int = MOST_CELLS
    mask_texts: bool = False

    erased: Erased | None = field(default=None, repr=False, compare=False)
    """The erasures that hold in the rows, None while there are none."""

    withholds: bool = field(init=False)
    """Whether any personal data is not kept as received."""
    retention_ms: int = field(init=False)
    """How long a message is remembered after its last callback, in ms."""
    silence_ms: int = field(init=False)
    """How long the state of a campaign is kept after its last change, in ms; far longer than any of its messages."""

    def __post_init__(self) -> None:
        if self.recipient == "hmac" and not self.hmac_key:
            raise ValueError("recipient=hmac needs hmac_key")
        # Every callback reads these, so they are fields and not properties.
        withholds = self.recipient != "keep" or self.message_text == "drop" or self.mask_texts
        object.__setattr__(self, "withholds", withholds)
        object.__setattr__(self, "retention_ms", self.retention_hours * HOUR_MS)
        object.__setattr__(self, "silence_ms", max(CAMPAIGN_MS, _RETENTIONS * self.retention_ms))
