"""
The settings that decide about SMS callbacks, in the form that the pure core takes.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

LEAST_RETENTION_HOURS: Final = 48
"""The least retention that can be set, in any version; Routee retries for up to 40 hours."""


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
    delivery_cells: int = 2000

    withholds: bool = field(init=False)
    """Whether any personal data is not kept as received."""
    retention_ms: int = field(init=False)
    """How long a message is remembered after its last callback, in ms."""

    def __post_init__(self) -> None:
        if self.recipient == "hmac" and not self.hmac_key:
            raise ValueError("recipient=hmac needs hmac_key")
        # Every callback reads these, so they are fields and not properties.
        object.__setattr__(self, "withholds", self.recipient != "keep" or self.message_text == "drop")
        object.__setattr__(self, "retention_ms", self.retention_hours * HOUR_MS)
