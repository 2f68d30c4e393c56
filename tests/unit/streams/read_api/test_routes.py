"""The pages of several workers as one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.contract.answers import CampaignState
from streams.contract.codec import format_time_ms
from streams.domain.campaign_index import CampaignIndex, Wanted, places_of
from streams.domain.campaign_stage import campaign_key
from streams.read_api import routes
from streams.read_api.campaign_lists import OwnPage
from streams.read_api.campaign_query import cursor_after, read_query
from streams.read_api.peers import PeerAnswer

BEGIN_MS = 1_795_300_000_000
Record = dict[str, Any]


def record_of(campaign: int, minute: int, revision: int = 5) -> Record:
    at = format_time_ms(BEGIN_MS + minute * 60_000)
    # In upper case it sorts otherwise than its row, whose key is in lower case.
    name = f"{'C' if campaign % 2 else 'c'}-{campaign}"
    times = {"first_received_at": at, "finished_at": at}
    return {"campaign_tracking_id": name, "generation": 0, "revision": revision, **times}


class Worker:
    def __init__(self, records: list[Record]) -> None:
        self._records = {campaign_key(one["campaign_tracking_id"]): one for one in records}

    def page(self, wanted: Wanted) -> tuple[list[Record], bool]:
        """Return a page as `CampaignLists` cuts it."""
        rows = {
            key: b'{"first": %d}' % (read_query([("since", one["first_received_at"])]).wanted.since or 0)
            for key, one in self._records.items()
        }
        index = CampaignIndex({key: places_of(key, row) for key, row in rows.items()})
        found = index.page(wanted._replace(limit=wanted.limit + 1))
        return [self._records[key] for _, key in found[: wanted.limit]], len(found) > wanted.limit


MINUTES = st.lists(st.integers(0, 4), min_size=1, max_size=12)


@given(data=st.data(), minutes=MINUTES, workers=st.integers(1, 3), limit=st.integers(1, 5))
def test_pages_of_several_workers_have_every_campaign_once_and_in_order(
    data: st.DataObject, minutes: list[int], workers: int, limit: int
) -> None:
    """Also one that two workers have, because its partition is being handed over: the newer record stands."""
    shares: list[list[Record]] = [[] for _ in range(workers)]
    for campaign, minute in enumerate(minutes):
        at, again = data.draw(st.lists(st.integers(0, workers - 1), min_size=2, max_size=2))
        shares[at].append(record_of(campaign, minute))
        if again != at:
            shares[again].append(record_of(campaign, minute, revision=4))
    first, *others = map(Worker, shares)
    found: list[Record] = []
    query: list[tuple[str, str]] = [("limit", str(limit))]
    while True:
        wanted, faults = read_query(query)
        assert faults == []
        own = OwnPage(*first.page(wanted), [])
        answers = []
        for other in others:
            records, has_more = other.page(wanted)
            follows = cursor_after(None, records[-1]) if has_more else None
            answers.append(PeerAnswer(200, {"campaigns": records, "next": follows}))
        page = routes._merged(own, answers, wanted)
        found += page["campaigns"]
        if page["next"] is None:
            break
        assert len(page["campaigns"]) == limit
        query = [("limit", str(limit)), ("cursor", page["next"])]
    expected = sorted(
        (record_of(*one) for one in enumerate(minutes)), key=lambda one: one["campaign_tracking_id"].lower()
    )
    expected.sort(key=lambda one: str(one["first_received_at"]), reverse=True)
    assert found == expected


def test_the_order_of_finished_campaigns_is_that_of_their_ends() -> None:
    one, other = record_of(1, 1), record_of(2, 2)
    one["finished_at"] = format_time_ms(BEGIN_MS + 999_999)
    page = routes._merged(OwnPage([other, one], has_more=False, searched=[]), [], Wanted(CampaignState.FINISHED))
    assert page["campaigns"] == [one, other]
