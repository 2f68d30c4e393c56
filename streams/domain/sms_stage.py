"""
Stage 1, `track_sms`: envelopes of callbacks become SMS revisions, rejections and partial counts per campaign.
"""

from collections.abc import Collection

from streams.domain.policy import Policy
from streams.domain.stage import Output, Rows


class SmsStage:
    """The rules of `track_sms`; a `Stage`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def apply(self, rows: Rows, partition: int, offset: int, value: bytes) -> list[Output]:
        """Take in one envelope of `routee.callbacks.raw`."""
        raise NotImplementedError

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """Return one partial per campaign whose counts changed."""
        raise NotImplementedError
