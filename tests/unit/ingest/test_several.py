"""
Several callbacks in one body: which bodies are taken apart, and the one answer.
"""

from typing import Any

import pytest
import yaml

from ingest.callback.several import several
from ingest.commit.lane import Outcome
from ingest.http.together import Together
from streams.contract.documents import checked_in

MOST = 100

ONE = b'{"messageId": "a", "price": 1.50}'


def array(*objects: bytes) -> bytes:
    return b"[" + b",".join(objects) + b"]"


@pytest.mark.parametrize("count", [2, MOST])
def test_an_array_of_objects_is_taken_apart_byte_for_byte(count: int) -> None:
    assert several(array(*[ONE] * count)) == [ONE] * count


@pytest.mark.parametrize(
    "body",
    [
        ONE,
        array(),
        array(ONE),
        array(*[ONE] * (MOST + 1)),
        array(ONE, b"7"),
        array(ONE, array(ONE)),
        array(ONE, b"null"),
        array(ONE, ONE) + b"x",
        array(ONE, ONE)[:-1],
        array(ONE, b'{"a":"\xff"}'),
        array(ONE, b'{"a":"' + b"," * 30_000 + b'"}'),
        b"",
    ],
)
def test_any_other_body_is_not(body: bytes) -> None:
    assert several(body) == []


@pytest.mark.parametrize("levels", [251, 498, 499, 990, 1_022, 5_000, 9_999])
def test_how_deep_an_array_may_be_is_the_same_in_every_python(levels: int) -> None:
    deep = b'{"a":' + b"[" * levels + b"]" * levels + b"}"
    assert several(array(ONE, deep)) == ([ONE, deep] if levels + 2 <= 500 else [])


class Waiter:
    def __init__(self) -> None:
        self.told: list[Outcome] = []

    def settle(self, outcome: Outcome) -> None:
        self.told.append(outcome)


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ("ss", []),
        ("sss", [Outcome.STORED]),
        ("f", [Outcome.FAILED]),
        ("sfs", [Outcome.FAILED]),
        ("ffsf", [Outcome.FAILED]),
    ],
)
def test_one_answer_is_given_for_three(outcomes: str, told: list[Outcome]) -> None:
    waiter = Waiter()
    together = Together(waiter, 3)
    for one in outcomes:
        together.settle(Outcome.STORED if one == "s" else Outcome.FAILED)
    assert waiter.told == told


def test_the_contract_names_the_same_bound() -> None:
    _, array_form = _callback_forms()
    assert (array_form["minItems"], array_form["maxItems"]) == (2, MOST)


def _callback_forms() -> list[dict[str, Any]]:
    """Return the forms of a body that the OpenAPI document has for callbacks."""
    paths = yaml.safe_load(checked_in()["openapi.yaml"])["paths"]
    content = paths["/callbacks"]["post"]["requestBody"]["content"]
    return list(content["application/json"]["schema"]["anyOf"])
