"""The orders of campaigns, and the pages that are cut out of them."""

from collections.abc import Mapping

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.contract.answers import CampaignState
from streams.domain.campaign_index import CampaignIndex, Wanted, places_of

RUNNING, FINISHED = CampaignState.RUNNING, CampaignState.FINISHED

Campaign = tuple[int, int]
"""When it began and, unless that is 0, when it was finished."""

KEYS = st.integers(0, 9).map(lambda number: b"t:%d" % number)
CAMPAIGNS = st.tuples(st.integers(1, 20), st.just(0) | st.integers(1, 20))
CHANGES = st.lists(st.tuples(KEYS, st.none() | CAMPAIGNS), max_size=40)


def row(campaign: Campaign | None) -> bytes | None:
    return None if campaign is None else orjson.dumps({"id": "x", "first": campaign[0], "finished": campaign[1]})


def index_of(campaigns: Mapping[bytes, Campaign]) -> CampaignIndex:
    return CampaignIndex({key: places_of(key, row(campaign) or b"") for key, campaign in campaigns.items()})


def expected(campaigns: Mapping[bytes, Campaign], wanted: Wanted) -> list[bytes]:
    """Return the keys of a page the simple way: look at each campaign."""
    matching = []
    for key, (first, finished) in campaigns.items():
        time = finished if wanted.state is FINISHED else first
        if wanted.state is not None and (wanted.state is FINISHED) != (finished > 0):
            continue
        if (wanted.since is None or time >= wanted.since) and (wanted.until is None or time < wanted.until):
            matching.append((-time, key))
    behind = [place for place in sorted(matching) if wanted.after is None or place > wanted.after]
    return [key for _, key in behind[: wanted.limit]]


WANTED = st.builds(
    Wanted,
    state=st.sampled_from([None, RUNNING, FINISHED]),
    since=st.none() | st.integers(0, 21),
    until=st.none() | st.integers(0, 21),
    after=st.none() | st.tuples(st.integers(-21, 0), KEYS),
    limit=st.integers(1, 12),
)


@given(begin=st.dictionaries(KEYS, CAMPAIGNS), changes=CHANGES, wanted=WANTED)
def test_a_page_is_what_a_look_at_each_campaign_gives(
    begin: dict[bytes, Campaign], changes: list[tuple[bytes, Campaign | None]], wanted: Wanted
) -> None:
    index, campaigns = index_of(begin), dict(begin)
    for key, campaign in changes:
        index.put(key, row(campaign))
        if campaign is None:
            campaigns.pop(key, None)
        else:
            campaigns[key] = campaign
    assert [key for _, key in index.page(wanted)] == expected(campaigns, wanted)


@given(
    begin=st.dictionaries(KEYS, CAMPAIGNS),
    state=st.sampled_from([None, RUNNING, FINISHED]),
    changes=st.lists(st.tuples(st.integers(10, 19).map(lambda n: b"t:%d" % n), CAMPAIGNS)),
    limit=st.integers(1, 3),
)
def test_pages_neither_miss_nor_repeat_a_campaign_while_others_come_and_change(
    begin: dict[bytes, Campaign],
    state: CampaignState | None,
    changes: list[tuple[bytes, Campaign]],
    limit: int,
) -> None:
    index = index_of(begin)
    found: list[bytes] = []
    page = index.page(Wanted(state, limit=limit))
    while page:
        found += [key for _, key in page if key in begin]
        for key, campaign in changes[:2]:
            index.put(key, row(campaign))
        del changes[:2]
        page = index.page(Wanted(state, after=page[-1], limit=limit))
    assert found == expected(begin, Wanted(state))


def test_a_row_without_an_end_runs() -> None:
    assert places_of(b"t:1", b'{"first": 5}') == {None: (-5, b"t:1"), RUNNING: (-5, b"t:1")}
