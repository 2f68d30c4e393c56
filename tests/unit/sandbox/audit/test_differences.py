"""
The audit: silent when the rows are what follows from the ledger, and not when a single cell is wrong.
"""

import tracemalloc
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest

from sandbox.audit.differences import (
    Difference,
    campaign_differences,
    message_differences,
    messages_of,
    newest,
    rejection_differences,
    revision_differences,
    sms_differences,
    unexplained_rejections,
    unknown_keys,
)
from sandbox.emulator.oracle import Oracle
from sandbox.emulator.traffic.model import Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from tests.unit.sandbox.audit.pipeline import Shown, emulated

TRAFFIC = TrafficOptions(
    1,
    "http://127.0.0.1:1/callbacks/s3cret",
    campaigns=2,
    recipients=60,
    singles=30,
    strategies=(Strategy.ON_CHANGE, Strategy.ON_COMPLETION),
    multipart=0.3,
    duplicates=0.2,
    reorder=0.3,
    conflicts=0.1,
    malformed=0.05,
    legacy=0.2,
)
UNCHECKED_SMS = {
    "previous_status", "revision", "first_received_at", "received_at", "partition", "offset", "index", "sms_key",
    "generation", "message_status", "message_previous_status", "message_is_final", "message_parts",
    "message_parts_seen", "message_latency_seconds", "message_price", "message_revision",
}  # fmt: skip
UNCHECKED_CAMPAIGN = {
    "campaign_tracking_id", "is_final", "conflicts", "stale_reports", "first_received_at", "last_received_at",
    "finished_at", "revision", "unordered_reports", "generation",
}  # fmt: skip


def differences(oracle: Oracle, shown: Shown) -> list[Difference]:
    def found() -> Iterator[Difference]:
        yield from sms_differences(oracle, shown.sms)
        yield from campaign_differences(oracle, shown.campaigns)
        yield from rejection_differences(oracle, shown.rejections)
        yield from unexplained_rejections(oracle, shown.rejections)

    return list(found())


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Oracle, Shown]:
    return emulated(TRAFFIC, tmp_path_factory.mktemp("audit") / "ledger")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_the_rules_of_streams_agree_with_the_ledger(tmp_path: Path, seed: int, lost: float) -> None:
    """Two independent statements of the rules come to the same rows, under duplicates, disorder, conflicts and loss."""
    options = TrafficOptions(
        seed, TRAFFIC.callback_url, campaigns=2, recipients=60, singles=30, strategies=TRAFFIC.strategies, lost=lost,
        multipart=0.3, duplicates=0.2, reorder=0.4, conflicts=0.2, malformed=0.05, legacy=0.2,
    )  # fmt: skip
    assert differences(*emulated(options, tmp_path / "ledger")) == []


def spoiled(value: object) -> object:
    """Return something else in the place of a value."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict):
        return {**value, "Delivered": value.get("Delivered", 0) + 1}
    return f"{value}1" if value else "something"


@pytest.mark.parametrize("kind", ["sms", "campaigns"])
def test_every_cell_that_is_wrong_is_found(traffic: tuple[Oracle, Shown], kind: str) -> None:
    """A change of any cell of a row is a difference that names the thing."""
    oracle, shown = traffic
    rows: dict[str, dict[str, Any]] = getattr(shown, kind)
    key = next(iter(rows))
    for name in rows[key].keys() - UNCHECKED_SMS - UNCHECKED_CAMPAIGN:
        broken = deepcopy(shown)
        getattr(broken, kind)[key][name] = spoiled(rows[key][name])
        found = differences(oracle, broken)
        assert found, f"{name} is not looked at"
        assert all(key in one.thing for one in found)


def test_a_difference_is_a_line_for_people(traffic: tuple[Oracle, Shown]) -> None:
    """The line has the thing, the place, the actual and the expected value."""
    oracle, shown = traffic
    broken = deepcopy(shown)
    key = next(key for key, row in shown.sms.items() if row["status"] == "Delivered")
    broken.sms[key]["status"] = "Sent"
    assert [str(one) for one in differences(oracle, broken)] == [
        f"SMS {key}: status is Sent, the ledger says Delivered"
    ]


def test_a_missing_row_is_found(traffic: tuple[Oracle, Shown]) -> None:
    """An SMS, a campaign or a rejection that is not there is one difference each."""
    oracle, shown = traffic
    for kind in ("sms", "campaigns"):
        broken = deepcopy(shown)
        key, _ = getattr(broken, kind).popitem()
        (found,) = differences(oracle, broken)
        assert (key in found.thing, found.field, found.found) == (True, "row", None)
    broken = deepcopy(shown)
    broken.rejections.pop()
    (found,) = differences(oracle, broken)
    assert (found.field, found.found, found.expected) == ("rejections", 0, 1)


def test_revisions_are_whole_and_never_contradict(traffic: tuple[Oracle, Shown]) -> None:
    """A repeated record is no matter; a gap, or the same revision with another content, is a difference."""
    _, shown = traffic
    row = next(iter(shown.sms.values()))
    first, second, third = ({**row, "revision": number} for number in (1, 2, 3))
    assert list(revision_differences([first, second, first, second, third])) == []
    (gap,) = revision_differences([first, third])
    assert (gap.found, gap.expected) == ([1, 3], "1 to 3")
    (contradiction,) = revision_differences([first, second, {**second, "status": "Else"}])
    assert (contradiction.field, contradiction.found) == ("status", "Else")


def test_records_of_a_topic_are_not_kept() -> None:
    """All records of a hundred thousand SMS took more than a gigabyte."""

    class Topic:
        def __iter__(self) -> Iterator[dict[str, Any]]:
            return ({"sms_key": "s", "generation": 1, "revision": at, "text": "x" * 9_000} for at in range(1, 1_000))

    tracemalloc.start()
    try:
        assert list(revision_differences(Topic())) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_revisions_may_begin_again_in_a_higher_generation_which_is_newer(traffic: tuple[Oracle, Shown]) -> None:
    _, shown = traffic
    row = next(iter(shown.sms.values()))
    older = [{**row, "generation": 4, "revision": number} for number in (1, 2, 3)]
    anew = {**row, "generation": 9, "revision": 1}
    assert list(revision_differences([anew, *older])) == []
    assert newest([anew, *older], "sms_key", "revision") == {row["sms_key"]: anew}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("status", "Queued"),
        ("is_final", None),
        ("parts", 9),
        ("parts_seen", 9),
        ("price", "7"),
        ("latency_seconds", 99),
    ],
)
def test_a_wrong_state_of_a_message_on_the_topic_is_found(
    traffic: tuple[Oracle, Shown], field: str, wrong: object
) -> None:
    oracle, shown = traffic
    record = max(shown.sms.values(), key=lambda row: (row["message_id"], row["message_revision"]))
    assert list(message_differences(oracle, messages_of(shown.sms.values()))) == []
    records = [*shown.sms.values(), {**record, "message_revision": 1_000, f"message_{field}": wrong}]
    found = [*message_differences(oracle, messages_of(records))]
    assert [one.field for one in found] == [field]


def test_a_rejection_too_many_or_with_another_reason_is_found(traffic: tuple[Oracle, Shown]) -> None:
    """Each malformed body is rejected as often as it was accepted, for a reason that fits."""
    oracle, shown = traffic
    broken = deepcopy(shown)
    broken.rejections.append(broken.rejections[0])
    assert [one.field for one in differences(oracle, broken)] == ["rejections"]
    broken = deepcopy(shown)
    broken.rejections[0]["reason"] = "bug"
    assert [one.field for one in differences(oracle, broken)] == ["reason"]


def test_a_body_written_anew_is_the_same_body(traffic: tuple[Oracle, Shown]) -> None:
    """Behind ingest JSON may be written with other spaces and in another order of fields."""
    oracle, shown = traffic
    anew = deepcopy(shown)
    for row in anew.rejections:
        with suppress(orjson.JSONDecodeError):
            body = orjson.loads(b64decode(row["body_base64"]))
            row["body"], row["body_base64"] = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode(), None
    assert anew.rejections != shown.rejections
    assert not differences(oracle, anew)


def test_a_row_without_a_callback_is_a_difference() -> None:
    assert not list(unknown_keys("sms_key", ["a"], {"a", "b"}))
    (difference,) = unknown_keys("sms_key", ["a", "c"], {"a", "b"})
    assert str(difference) == "sms_key c: row is there, the ledger says missing"


def test_a_good_callback_among_the_rejections_is_a_difference(traffic: tuple[Oracle, Shown]) -> None:
    oracle, shown = traffic
    refused = {**shown.rejections[0], "body": '{"messageId":"m"}', "body_base64": None, "reason": "bug"}
    (difference,) = unexplained_rejections(oracle, [*shown.rejections, refused])
    assert (difference.found, difference.expected) == ("bug", "no rejection")


def test_a_rejected_body_that_is_nested_deeply_is_a_difference_like_any_other(traffic: tuple[Oracle, Shown]) -> None:
    oracle, shown = traffic
    deep = {**shown.rejections[0], "body": '{"a":' * 300 + "1" + "}" * 300, "body_base64": None, "reason": "too-deep"}
    (difference,) = unexplained_rejections(oracle, [*shown.rejections, deep])
    assert difference.found == "too-deep"
