"""
The JSON of the pull API: tracking objects, page objects, details of campaigns, errors.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from sandbox.emulator.pull.options import PullOptions
from sandbox.emulator.traffic.bodies import iso
from sandbox.emulator.traffic.model import Change, Report, StatusCallback

Json = dict[str, Any]

_NOT_IN_2016 = ("part", "label", "campaignTrackingId")


def tracking(entry: StatusCallback, options: PullOptions, *, in_list: bool) -> Json:
    """Return the tracking object of one SMS; lists name its campaign `campaignName`, single answers `campaign`."""
    message, part, change = entry.message, entry.part, entry.change
    body = {
        "smsId": part.sms_id,
        "messageId": message.message_id,
        "to": message.recipient,
        "from": message.occasion.sender,
        "body": message.text,
        "country": message.route.country,
        "operator": message.route.operator,
        "groups": message.groups,
        "part": part.number,
        "parts": len(message.parts),
        "label": message.occasion.label or None,
        "applicationName": message.occasion.application,
        "latency": change.latency,
        # As Routee writes it: a JSON number with 8 decimals, which no float may touch.
        "price": orjson.Fragment(str(change.price)),
        "direction": "Outbound",
        "originatingService": message.occasion.service,
        "status": _status(change, reason=not message.legacy),
    }
    if message.campaign:
        body["campaignName" if in_list else "campaign"] = message.campaign.name
        if options.campaign_ids:
            body["campaignTrackingId"] = message.campaign.tracking_id
    if options.old_form or message.legacy:
        for name in _NOT_IN_2016:
            body.pop(name, None)
    return body


def _status(change: Change, *, reason: bool) -> Json:
    told = {"reason": {"detailedStatus": change.detail, "description": change.description}}
    return {"status": change.status, "date": iso(change.updated_at), **(told if change.detail and reason else {})}


def page(rows: Sequence[Json], total: int, number: int, size: int) -> Json:
    """Return a page object: these rows of `total`."""
    pages = -(-total // size)
    return {
        "content": rows,
        "totalPages": pages,
        "totalElements": total,
        "numberOfElements": len(rows),
        "number": number,
        "size": size,
        "first": number == 0,
        "last": number >= pages - 1,
    }


def campaign_details(report: Report) -> Json:
    """Return the details of a campaign."""
    campaign = report.campaign
    return {
        "trackingId": campaign.tracking_id,
        "type": "Sms",
        "state": report.campaign_status,
        "createdAt": iso(int(campaign.started_at)),
        "campaignName": campaign.name,
        "from": campaign.occasion.sender,
        "body": campaign.occasion.text,
        "totalMessages": campaign.recipients,
        "statuses": report.counts,
        "smsAnalysis": {"numberOfRecipients": campaign.recipients},
    }


def error(code: str, message: str) -> Json:
    """Return the body of an error: `code` is the HTTP status, the module and the number, 9 digits in all."""
    return {"code": code, "developerMessage": message}
