import pytest

from streams.domain.reconciliation import reconcile

_ONE = {"Delivered": 8, "Failed": 2, "Sent": 5}
_TWO_PARTS = {"Delivered": 16, "Failed": 4, "Sent": 10}


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [
        (None, ("unreported", None, {})),
        ({"Delivered": 8, "Failed": 2}, ("consistent", "messages", {})),
        ({"Delivered": 8, "Failed": 2, "Queued": 99}, ("consistent", "messages", {})),
        ({"Delivered": 9, "Failed": 2}, ("behind", "messages", {"Delivered": -1})),
        ({"Delivered": 7, "Failed": 2}, ("ahead", "messages", {"Delivered": 1})),
        ({}, ("ahead", "messages", {"Delivered": 8, "Failed": 2})),
        ({"Delivered": 9, "Failed": 1}, ("mixed", "messages", {"Delivered": -1, "Failed": 1})),
        ({"Delivered": 16, "Failed": 4}, ("consistent", "parts", {})),
        ({"Delivered": 17, "Failed": 4}, ("behind", "parts", {"Delivered": -1})),
        ({"Delivered": 12, "Failed": 3}, ("behind", "messages", {"Delivered": -4, "Failed": -1})),
    ],
)
def test_derived_finals_are_compared_in_the_unit_that_fits(
    reported: dict[str, int] | None, verdict: tuple[str, str | None, dict[str, int]]
) -> None:
    assert reconcile(_ONE, _TWO_PARTS, reported) == verdict


def test_reports_alone_are_underived() -> None:
    assert reconcile({}, {}, {"Delivered": 5}) == ("underived", None, {})


def test_nothing_final_on_either_side_is_consistent() -> None:
    assert reconcile({"Sent": 3}, {"Sent": 3}, {"Queued": 3}) == ("consistent", "messages", {})
