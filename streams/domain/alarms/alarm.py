"""
The public record of an alarm: its subject, the judged numbers, and why it opened, in one sentence for people.

`observed` and `expected` are parts of all SMS for `delivery-drop`, `latency-rise` and `campaign-hanging`, and numbers
of deliveries or callbacks for `route-quiet` and `silence`.
"""

from typing import Any, Final, Literal

import orjson

from streams.contract.codec import format_time_ms
from streams.domain.alarms.hanging import AGE_MINUTES, Hang, ManyEvent
from streams.domain.alarms.hanging import THRESHOLD as HANGING_THRESHOLD
from streams.domain.alarms.mute import ACCOUNT, CAMPAIGN
from streams.domain.alarms.route_quiet import THRESHOLD, Quiet
from streams.domain.alarms.scan import Finding
from streams.domain.alarms.seen import WINDOW_SECONDS
from streams.domain.alarms.silence import Silent

Kind = Literal["delivery-drop", "latency-rise", "route-quiet", "campaign-hanging", "silence"]
DELIVERY_DROP: Final = "delivery-drop"
LATENCY_RISE: Final = "latency-rise"
ROUTE_QUIET: Final = "route-quiet"
CAMPAIGN_HANGING: Final = "campaign-hanging"
SILENCE: Final = "silence"

Record = dict[str, Any]
Place = tuple[str, str]
"""Country and operator; empty when unknown."""


def subject_of(place: Place, sender: str | None = None) -> str:
    """Return the subject of a route, or of a sender on it."""
    return orjson.dumps([*place] if sender is None else [*place, sender]).decode()


def subject_of_campaign(campaign: str) -> str:
    """Return the subject of a campaign."""
    return f"{CAMPAIGN}{campaign}"


def alarm_key(kind: str, subject: str) -> str:
    """Return the key of an alarm: its kind and its subject."""
    return f"{kind}:{subject}"


def scan_alarm(kind: Kind, place: Place, finding: Finding, minute: int, edge: int) -> Record:
    """Return the record of a fall that a scan found; `edge` is how soon, in seconds, an SMS has to be delivered."""
    observed, expected = finding.x / finding.n, finding.expected / finding.n
    noun = "SMS" if kind == DELIVERY_DROP else "delivered SMS"
    whose = _name(place) if finding.sender is None else f"{_sender(finding.sender)} on {_name(place)}"
    why = (
        f"{whose}: {_percent(observed)} of {finding.n:,} {noun} were delivered within {edge} s,"
        f" {_percent(expected)} are usual; {_whose_fault(finding)}"
    )
    return _opened(kind, place, finding.sender, finding.level, minute, finding.first) | {
        "observed": round(observed, 4),
        "expected": round(expected, 4),
        "n": finding.n,
        "only_sender": finding.only_sender,
        "until": _start(finding.last + 1),
        "judged": {
            "deviance": round(finding.deviance, 3),
            "threshold": round(finding.threshold, 2),
            "horizon_seconds": finding.horizon,
            "edge_seconds": edge,
            "seen": finding.x,
            "usual": round(finding.expected, 2),
            "rest_n": finding.rest_n,
            "rest_seen": finding.rest_x,
            "rest_usual": round(finding.rest_expected, 2),
        },
        "why": why,
    }


def quiet_alarm(place: Place, quiet: Quiet, minute: int) -> Record:
    """Return the record of a quiet route."""
    minutes = (quiet.last - quiet.first + 1) * WINDOW_SECONDS // 60
    why = (
        f"{_name(place)} is quiet: {quiet.seen:,} deliveries of {minutes} minutes of sending were told, and"
        f" {quiet.expected:,.0f} were to be expected by its senders' other routes; either it does not deliver,"
        " or no SMS are sent to it"
    )
    return _opened(ROUTE_QUIET, place, None, "alarm", minute, quiet.first) | {
        "observed": quiet.seen,
        "expected": round(quiet.expected, 2),
        "n": quiet.seen,
        "until": _start(quiet.last + 1),
        "judged": {"deviance": round(quiet.deviance, 3), "threshold": THRESHOLD, "horizon_seconds": 300},
        "why": why,
    }


def silence_alarm(silent: Silent, minute: int) -> Record:
    """Return the record of a silence of the account."""
    why = (
        f"No callback came for {silent.minutes} minutes, and at least {silent.expected:,.0f} are usual: nothing was"
        " sent, or nothing was reported"
    )
    return _opened(SILENCE, None, None, "alarm", minute, 0) | {
        "since": format_time_ms(silent.since * 60_000),
        "observed": 0,
        "expected": round(silent.expected, 2),
        "n": 0,
        "judged": {"minutes": silent.minutes},
        "why": why,
    }


def account_alarm(routes: list[str], active: int, minute: int, first: int) -> Record:
    """Return the record of many routes that fail at once; `routes` are their subjects."""
    why = (
        f"{len(routes)} of {active} routes with traffic fell within 10 minutes: the cause is here or at the provider,"
        " and not at one operator"
    )
    return _opened(DELIVERY_DROP, None, None, "alarm", minute, first) | {
        "observed": len(routes),
        "expected": 0,
        "n": active,
        "routes": [orjson.loads(route) for route in routes],
        "why": why,
    }


def hanging_alarm(campaign: str, hang: Hang, minute: int) -> Record:
    """Return the record of a campaign whose SMS hang. Its sentence has no id: in one, numbers may be masked."""
    observed = hang.x / hang.n
    cause = (
        f"Routee's own counts have {hang.untold:,} more as final: statuses do not reach us"
        if hang.is_untold
        else "Routee's own counts know no more: look at the list first, then at its operators"
    )
    why = (
        f"Of {hang.n:,} SMS that Routee handed out {_percent(observed)} are final after"
        f" {AGE_MINUTES} minutes, {_percent(hang.share)} are usual; {cause}"
    )
    subject = subject_of_campaign(campaign)
    return _opened(CAMPAIGN_HANGING, None, None, "alarm", minute, 0) | {
        "alarm": alarm_key(CAMPAIGN_HANGING, subject),
        "subject": subject,
        "scope": "campaign",
        "since": format_time_ms(hang.since * 60_000),
        "until": format_time_ms(hang.until * 60_000),
        "observed": round(observed, 4),
        "expected": round(hang.share, 4),
        "n": hang.n,
        "judged": {
            "deviance": round(hang.deviance, 3),
            "threshold": HANGING_THRESHOLD,
            "horizon_seconds": AGE_MINUTES * 60,
            "seen": hang.x,
            "usual": round(hang.n * hang.share, 2),
            "untold": hang.untold,
        },
        "why": why,
    }


def many_hanging_alarm(many: ManyEvent, minute: int) -> Record:
    """Return the record of several campaigns that hang at once."""
    why = (
        f"SMS of {many.hanging} of {many.judged} campaigns of the last hour hang or are not told: the cause"
        " is here or at the provider, and not one list"
    )
    return _opened(CAMPAIGN_HANGING, None, None, "alarm", minute, 0) | {
        "since": format_time_ms(many.since * 60_000),
        "observed": many.hanging,
        "expected": 0,
        "n": many.judged,
        "why": why,
    }


def closed(record: Record, minute: int, reason: str) -> Record:
    """Return the record of an alarm when it has closed."""
    return record | {"is_open": False, "closed_at": format_time_ms(minute * 60_000), "closed_because": reason}


def _opened(kind: str, place: Place | None, sender: str | None, level: str, minute: int, first: int) -> Record:  # noqa: PLR0913, PLR0917 - the fields that all alarms have
    subject = ACCOUNT if place is None else subject_of(place, sender)
    country, operator = place or ("", "")
    return {
        "alarm": alarm_key(kind, subject),
        "kind": kind,
        "subject": subject,
        "scope": "account" if place is None else "route" if sender is None else "sender",
        "country": country or None,
        "operator": operator or None,
        "sender": sender,
        "level": level,
        "is_open": True,
        "opened_at": format_time_ms(minute * 60_000),
        "closed_at": None,
        "closed_because": None,
        "muted_until": None,
        "since": _start(first),
        "until": None,
        "observed": 0,
        "expected": 0,
        "n": 0,
        "only_sender": False,
        "routes": [],
        "judged": {},
        "why": "",
    }


def _start(window: int) -> str:
    return format_time_ms(window * WINDOW_SECONDS * 1000)


def _name(place: Place) -> str:
    country, operator = place
    return f"{operator or 'an unknown operator'} ({country or 'unknown country'})"


def _sender(sender: str) -> str:
    return sender or "SMS without a sender"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _whose_fault(finding: Finding) -> str:
    if finding.scope == "route":
        return f"the other senders show it, too ({_rest(finding)})"
    if finding.only_sender:
        return "no other sender has enough SMS there to tell whether it is the route or the list"
    return f"the other senders do not show it ({_rest(finding)}): look at the list first"


def _rest(finding: Finding) -> str:
    rest = finding.rest_n
    return f"{_percent(finding.rest_x / rest)} of {rest:,}, {_percent(finding.rest_expected / rest)} usual"
