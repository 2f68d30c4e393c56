"""
Answers for readers who may not see numbers and texts.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.contract.personal import without_numbers
from streams.domain.alarms.alarm import CAMPAIGN_HANGING
from streams.domain.alarms.mute import CAMPAIGN
from streams.domain.cells import cell_name, place_named
from streams.domain.policy import Policy
from streams.domain.privacy import kept_recipient

_POLICY: Final = Policy(recipient="mask")
_OF_CAMPAIGN: Final = re.compile(f"(?:{CAMPAIGN_HANGING}:)?{CAMPAIGN}")


def masked(view: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a view (`streams.domain.views`) without what tells of a person.

    `recipient` is shown as STREAMS_RECIPIENT=mask does; `message`, `label` and `groups` are left out; names and words
    that come from the customer or from Routee are shown without the numbers in them. A field that has no rule here is
    left out, too.
    """
    return {field: rule(value) for field, value in view.items() if (rule := RULES.get(field))}


def _words(text: str | None) -> str | None:
    return None if text is None else without_numbers(text)


def _subject(subject: str) -> str:
    """Return the subject or the key of an alarm: the id of a campaign has digits, and is shown as everywhere."""
    return subject if _OF_CAMPAIGN.match(subject) else without_numbers(subject)


def _recipient(number: str | None) -> str | None:
    return None if number is None else kept_recipient(number, _POLICY)


def _none(_: object) -> None:
    return None


def _no_groups(_: object) -> list[str]:
    return []


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - a value of JSON
    return value


def _cell(name: str) -> str:
    """Return the name of a cell without its label, as its own fields are shown."""
    window, route = place_named(name)
    return cell_name(window, (*map(_words, route[:-1]), None))


def _routes(routes: list[list[str]]) -> list[list[str | None]]:
    return [[*map(_words, route)] for route in routes]


def _each(views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [masked(one) for one in views]


_KEPT: Final = """
    sms_key message_id sms_id campaign_tracking_id part parts country is_final
    status_updated_at queued_at sent_at final_at latency_seconds price direction originating_service
    revision conflicts first_received_at received_at partition offset index
    generation message_is_final message_parts message_parts_seen message_latency_seconds message_price message_revision
    source
    parts_seen
    strategy total_recipients messages messages_final messages_delivered messages_by_status parts_by_status
    reported_by_status progress delivery_rate price_total reconciliation reconciliation_unit drift stale_reports
    last_received_at finished_at unordered_reports
    sending_at sent_from
    window_start window_end delivered_by_latency price_delivered price_undelivered unpriced is_closed
    next
    kind scope level is_open opened_at closed_at closed_because muted_until since until
    observed expected n only_sender judged
""".split()  # noqa: SIM905 - a list of words

_WORDS: Final = """
    sender campaign_name name operator application_name status previous_status detailed_status status_description
    message_status message_previous_status campaign_status why
""".split()  # noqa: SIM905 - the same

RULES: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_KEPT, _as_it_is),
    **dict.fromkeys(_WORDS, _words),
    **dict.fromkeys(["alarm", "subject"], _subject),
    "recipient": _recipient,
    "message": _none,
    "label": _none,
    "groups": _no_groups,
    "sms": _each,
    "campaigns": _each,
    "cells": _each,
    "alarms": _each,
    "mutes": _each,
    "routes": _routes,
    "cell": _cell,
}
"""How a masked answer shows each field."""
