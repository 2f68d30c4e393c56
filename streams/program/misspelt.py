"""
Which settings a name may stand for that is none.
"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_PROJECT: Final = frozenset({"ROUTEE"})
# Beginnings and names that are nearly one of ours (STREAM_, SINK_, KAKFA_); other software's (INGRESS_) are not.
_LIKE_A_BEGINNING: Final = 0.79
_LIKE_A_NAME: Final = 0.9
_VERY_LIKE: Final = 0.8
_LIKE: Final = 0.6
# Of a name that does not begin like ours, the rest has to be nearer: it may be none of our business.
_NEAR: Final = 0.7


def meant(name: str, known: Collection[str]) -> list[str]:
    """
    Return the settings that may be meant by a name that is none, the likeliest first; usually one or none.

    `known` are all settings, each `BEGINNING_REST`; beginnings are programs, `KAFKA`, `CLICKHOUSE` and the like.
    """
    beginnings = {one.partition("_")[0] for one in known}
    beginning, _, rest = name.partition("_")
    if rest in known and beginning in beginnings | _PROJECT:  # SINKS_CLICKHOUSE_URL
        return [rest]
    if beginning in beginnings:
        return _of_ours(beginning, rest, known)
    whole = get_close_matches(name, sorted(known), n=1, cutoff=_LIKE_A_NAME)
    near = get_close_matches(beginning, sorted(beginnings), n=1, cutoff=_LIKE_A_BEGINNING)
    return whole or (_of_program(near[0], rest, known, _NEAR) if near else [])


def _of_ours(beginning: str, rest: str, known: Collection[str]) -> list[str]:
    """Return the setting of that program, or one of another program that ends in the same words."""
    if likely := _of_program(beginning, rest, known, _VERY_LIKE):
        return likely
    elsewhere = [one for one in sorted(known) if one.partition("_")[2] == rest and "_" in rest]
    return [*_of_program(beginning, rest, known, _LIKE), *elsewhere]


def _of_program(beginning: str, rest: str, known: Collection[str], cutoff: float) -> list[str]:
    # Without what all of them begin with, which would make any two look alike.
    rests = sorted(one.removeprefix(f"{beginning}_") for one in known if one.startswith(f"{beginning}_"))
    found = get_close_matches(rest, rests, n=1, cutoff=cutoff)
    return [f"{beginning}_{one}" for one in found]
