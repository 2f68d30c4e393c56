"""
The query of a list of campaigns, and the cursor that leads from one page to the next. Pure.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from streams.contract.answers import CampaignState
from streams.contract.dates import read_date
from streams.domain.campaign_index import Place, Wanted
from streams.domain.campaign_stage import campaign_key
from streams.read_api.parameters import Readers, limit, moment, read_parameters

_CURSOR: Final = re.compile(r"([bf]):(\d{1,15}):(.+)", re.DOTALL)


class ListQuery(NamedTuple):
    """A query that was read: the wanted page, and every fault, as a phrase each; none when it is right."""

    wanted: Wanted
    faults: list[str]


def read_query(given: Sequence[tuple[str, str]]) -> ListQuery:
    """Return the query of a list by its parameters, names and values in any order. Faults repeat no value."""
    read, faults = read_parameters(given, _READERS)
    order, place = read.pop("cursor", (None, None))
    wanted = Wanted(after=place, **read)
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


def _state(text: str) -> CampaignState:
    try:
        return CampaignState(text)
    except ValueError:
        raise ValueError(f"{' or '.join(CampaignState)} is expected") from None


def _cursor(text: str) -> tuple[str, Place]:
    try:
        found = _CURSOR.fullmatch(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except ValueError:
        found = None
    if found is None:
        raise ValueError("`next` of a page is expected, as it is")
    return found[1], (-int(found[2]), campaign_key(found[3]))


_READERS: Final[Readers] = {
    "state": _state,
    "since": moment,
    "until": moment,
    "limit": limit,
    "cursor": _cursor,
}
