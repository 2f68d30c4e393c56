"""
The descriptive fields of one SMS: everything known of it besides its status.
"""

import msgspec


class Details(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """
    The fields that a callback may bring; None where a value is unknown.

    A row holds them as a list; new fields go to the end (`row_forms`).
    """

    sms_id: str | None = None
    campaign_tracking_id: str | None = None
    campaign_name: str | None = None
    label: str | None = None
    recipient: str | None = None
    sender: str | None = None
    country: str | None = None
    operator: str | None = None
    application_name: str | None = None
    direction: str | None = None
    originating_service: str | None = None
    message: str | None = None
    detailed_status: str | None = None
    status_description: str | None = None
    part: int | None = None
    parts: int | None = None
    groups: list[str] | None = None
    latency_seconds: int | float | None = None
    price: int | None = None
    """In units of 1e-8."""
