"""
The results of functions of one value, kept for functions that every callback calls.

`functools.lru_cache` takes three times as long to find a value: it also notes which one was used last.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

Given = TypeVar("Given")
Returned = TypeVar("Returned")


class Results(dict[Given, Returned], Generic[Given, Returned]):
    """Results of a function by its argument. When there are too many, all are forgotten, and the next ones come in."""

    def __init__(self, function: Callable[[Given], Returned], most: int) -> None:
        super().__init__()
        self.function: Final = function
        self._most: Final = most

    def __missing__(self, given: Given) -> Returned:
        result = self.function(given)
        if len(self) >= self._most:
            self.clear()
        self[given] = result
        return result


def remembered(most: int) -> Callable[[Callable[[Given], Returned]], Callable[[Given], Returned]]:
    """Decorate a pure function that returns the same for equal values: up to `most` results are kept."""

    def decorated(function: Callable[[Given], Returned]) -> Callable[[Given], Returned]:
        return Results(function, most).__getitem__

    return decorated
