"""
Stage 2, `track_campaign`: partial counts and reports become the progress of each campaign.
"""

from collections.abc import Collection

from streams.domain.stage import Output, Rows


class CampaignStage:
    """The rules of `track_campaign`; a `Stage`."""

    def apply(self, rows: Rows, partition: int, offset: int, value: bytes) -> list[Output]:
        """Take in one record of the partials topic: counts of one source partition, or a report."""
        raise NotImplementedError

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """Return one progress record per campaign that changed."""
        raise NotImplementedError
