"""
How the emulated pull API behaves, where Routee's own is not documented or is known to differ.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import inf

APPLICATION_ID = "emulated"
APPLICATION_SECRET = "emulated-application-secret"  # noqa: S105 - of nothing but the emulator
WINDOW_SECONDS = 7 * 86_400


class DateMeaning(StrEnum):
    """Which moment of an SMS `dateStart` and `dateEnd` compare; Routee does not say."""

    STATUS = "status"
    CREATED = "created"


class Trouble(StrEnum):
    """Ways in which an answer goes wrong."""

    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    TOO_MANY = "429"
    BROKEN = "500"
    SLOW = "slow"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class PullOptions:
    """
    The behaviour of the pull API.

    `old_form` gives tracking objects as in 2016: without `part`, `label` and `campaignTrackingId`, with an `smsId` also
    where the callback had none. `campaign_ids` False leaves `campaignTrackingId` out of today's form, too. `moves` is
    how many times a row jumps from the end of a list to its front while pages of it are read. `troubles` is the share
    of answers that go wrong, of all kinds in turn. `allowed` False refuses every address with 403.
    """

    application_id: str = APPLICATION_ID
    application_secret: str = APPLICATION_SECRET
    token_seconds: int = 3600
    dates: DateMeaning = DateMeaning.STATUS
    old_form: bool = False
    campaign_ids: bool = True
    moves: int = 0
    deepest_row: int = 10_000
    requests_per_second: float = inf
    troubles: float = 0.0
    slow_seconds: float = 60.0
    allowed: bool = True
