"""The query of a list, and its cursor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract.answers import CampaignState
from streams.contract.codec import format_time_ms
from streams.domain.campaign_index import Wanted
from streams.domain.campaign_stage import campaign_key
from streams.read_api.campaign_query import cursor_after, read_query

NOON = 1_795_953_600_000


def test_without_parameters_all_campaigns_are_wanted() -> None:
    assert read_query([]) == (Wanted(None, None, None, None, 100), [])


def test_each_parameter_is_read() -> None:
    given = [("state", "finished"), ("since", "2026-11-29T12:00:00Z"), ("until", "2026-11-29T14:00:01 02:00")]
    assert read_query([*given, ("limit", "7")]) == (
        Wanted(CampaignState.FINISHED, NOON, NOON + 1000, None, 7),
        [],
    )


def test_every_fault_is_named_at_once_and_no_value_is_repeated() -> None:
    given = [("state", "done"), ("since", "today"), ("until", ""), ("limit", "101"), ("cursor", "x"), ("limit", "0")]
    wanted, faults = read_query([*given, ("+306900000001", "1"), ("recipient", "+306900000001")])
    assert wanted == Wanted()
    assert [fault.partition(":")[0] for fault in faults] == [
        "a parameter", "recipient", "limit", "state", "since", "until", "limit", "cursor", "limit"
    ]  # fmt: skip
    told = "; ".join(faults)
    assert "3069" not in told
    assert "running or finished is expected" in told
    assert "2026-11-29T12:00:00Z" in told
    assert "there are state, since, until, limit, cursor" in told


@pytest.mark.parametrize("until", ["2026-11-29T12:00:00Z", "2026-11-29T11:59:59Z"])
def test_an_empty_stretch_of_time_is_a_fault(until: str) -> None:
    _, faults = read_query([("since", "2026-11-29T12:00:00Z"), ("until", until)])
    assert faults == ["until: it must be after since"]


@given(
    state=st.sampled_from([None, *CampaignState]),
    ms=st.integers(86_400_000, 2**32 * 1000 - 1),
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=256),
)
def test_a_cursor_leads_behind_its_campaign(state: CampaignState | None, ms: int, name: str) -> None:
    times = {"first_received_at": format_time_ms(ms), "finished_at": format_time_ms(ms)}
    cursor = cursor_after(state, {"campaign_tracking_id": name, **times})
    given = [("cursor", cursor)] + ([("state", str(state))] if state else [])
    assert read_query(given) == (Wanted(state, after=(-ms, campaign_key(name))), [])


def test_a_cursor_of_another_order_is_a_fault() -> None:
    record = {
        "campaign_tracking_id": "c",
        "first_received_at": format_time_ms(NOON),
        "finished_at": format_time_ms(NOON),
    }
    begun, ended = cursor_after(CampaignState.RUNNING, record), cursor_after(CampaignState.FINISHED, record)
    assert read_query([("cursor", begun)]).faults == []
    assert read_query([("cursor", ended)]).faults == ["cursor: it comes from a list with another state"]
    assert read_query([("cursor", begun), ("state", "finished")]).faults != []


@given(st.text(max_size=40) | st.binary(max_size=30).map(lambda raw: raw.decode("latin-1")))
def test_no_cursor_of_a_stranger_is_taken_or_breaks_anything(text: str) -> None:
    assert [fault.partition(":")[0] for fault in read_query([("cursor", text)]).faults] == ["cursor"]
