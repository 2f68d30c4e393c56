"""
Rows as answers: what the read-only HTTP pages say of one message and of one campaign.
"""

from typing import Any


def message_key(message_id: str) -> bytes:
    """Return the key of a message's row in the table of stage 1."""
    return b"m:" + message_id.lower().encode()


def campaign_key(tracking_id: str) -> bytes:
    """Return the key of a campaign's row in the table of stage 2."""
    return b"t:" + tracking_id.lower().encode()


def message_view(row: Any) -> dict[str, Any]:  # noqa: ANN401 - as Rows gives it
    """Return the message and all its SMS (each with the fields of SmsStatus)."""
    raise NotImplementedError


def campaign_view(row: Any) -> dict[str, Any]:  # noqa: ANN401 - as Rows gives it
    """Return the fields of CampaignProgress."""
    raise NotImplementedError
