"""
What the settings decide about SMS callbacks, as the pure core takes it.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """
    The choices an operator has; the settings of the same names (`STREAMS_…`) say what each one means.

    Raises ValueError for `hmac` without a key: an unkeyed hash of a phone number is undone by trying all numbers.
    """

    conflicting_finals: Literal["latest", "first"] = "latest"
    retention_hours: int = 96
    recipient: Literal["keep", "mask", "hmac", "drop"] = "keep"
    hmac_key: str = field(default="", repr=False)
    message_text: Literal["keep", "drop"] = "keep"

    withholds: bool = field(init=False)
    """Whether anything of a person's data is not kept as it comes."""
    retention_ms: int = field(init=False)
    """How long a message is remembered after its last callback."""

    def __post_init__(self) -> None:
        if self.recipient == "hmac" and not self.hmac_key:
            raise ValueError("recipient=hmac needs hmac_key")
        # Asked for with every callback, so not properties.
        object.__setattr__(self, "withholds", self.recipient != "keep" or self.message_text == "drop")
        object.__setattr__(self, "retention_ms", self.retention_hours * 3_600_000)
