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

    def __post_init__(self) -> None:
        if self.recipient == "hmac" and not self.hmac_key:
            raise ValueError("recipient=hmac needs hmac_key")

    @property
    def withholds(self) -> bool:
        """Tell whether anything of a person's data is not kept as it comes."""
        return self.recipient != "keep" or self.message_text == "drop"

    @property
    def retention_ms(self) -> int:
        """Return how long a message is remembered after its last callback."""
        return self.retention_hours * 3_600_000
