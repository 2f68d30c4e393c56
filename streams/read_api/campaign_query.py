"""
The query of a list of campaigns, and the cursor that leads from one page to the next. Pure.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streams.contract.answers import PAGE_MOST, CampaignState
from streams.domain.campaign_index import Place, Wanted
from streams.domain.campaign_stage import campaign_key
from streams.domain.dates import read_date

_NAME: Final = re.compile("[a-z_]{1,32}")
_CURSOR: Final = re.compile(r"([bf]):(\d{1,15}):(.+)", re.DOTALL)


class ListQuery(NamedTuple):
    """A query that was read: the wanted page, and every fault, as a phrase each; none when it is right."""

    wanted: Wanted
    faults: list[str]


def read_query(given: Sequence[tuple[str, str]]) -> ListQuery:
    """Return the query of a list by its parameters, names and values in any order. Faults repeat no value."""
    names = [name for name, _ in given]
    faults = [_unknown(name) for name in dict.fromkeys(names) if name not in _READERS]
    faults += [f"{name}: it is given twice" for name in _READERS if names.count(name) > 1]
    read: dict[str, Any] = {}
    for name, value in given:
        if reader := _READERS.get(name):
            try:
                read[name] = reader(value)
            except ValueError as error:
                faults.append(f"{name}: {error}")
    order, place = read.pop("cursor", (None, None))
    wanted = Wanted(after=place, **read)
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        faults.append("until: it must be after since")
    if order not in (None, _order(wanted.state)):
        faults.append("cursor: it comes from a list with another state")
    return ListQuery(wanted, faults)


def cursor_after(state: CampaignState | None, record: Mapping[str, Any]) -> str:
    """Return the cursor that leads to the campaigns behind this one, of a list with this state."""
    written = f"{_order(state)}:{read_date(time_of(state, record))}:{record['campaign_tracking_id']}"
    return urlsafe_b64encode(written.encode()).decode().rstrip("=")


def time_of(state: CampaignState | None, record: Mapping[str, Any]) -> str:
    """Return the time by which a list with this state is in order."""
    return str(record["finished_at" if state is CampaignState.FINISHED else "first_received_at"])


def _order(state: CampaignState | None) -> str:
    return "f" if state is CampaignState.FINISHED else "b"


def _unknown(name: str) -> str:
    named = name if _NAME.fullmatch(name) else "a parameter"
    return f"{named}: it is unknown; there are {', '.join(_READERS)}"


def _state(text: str) -> CampaignState:
    try:
        return CampaignState(text)
    except ValueError:
        raise ValueError(f"{' or '.join(CampaignState)} is expected") from None


def _moment(text: str) -> int:
    moment = read_date(text)
    if not moment:
        raise ValueError("a date with a zone is expected, such as 2026-11-29T12:00:00Z")
    return moment


def _limit(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= PAGE_MOST:
        raise ValueError(f"a number from 1 to {PAGE_MOST} is expected")
    return int(text)


def _cursor(text: str) -> tuple[str, Place]:
    try:
        found = _CURSOR.fullmatch(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except ValueError:
        found = None
    if found is None:
        raise ValueError("`next` of a page is expected, as it is")
    return found[1], (-int(found[2]), campaign_key(found[3]))


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "state": _state,
    "since": _moment,
    "until": _moment,
    "limit": _limit,
    "cursor": _cursor,
}
