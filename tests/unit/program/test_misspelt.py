"""Which settings a wrong name may stand for."""

import pytest

from streams.program.environment import KNOWN_SETTINGS
from streams.program.misspelt import meant


@pytest.mark.parametrize("name", sorted(KNOWN_SETTINGS))
def test_a_setting_without_one_of_its_letters_is_recognized(name: str) -> None:
    for place in range(len(name)):
        wrong = name[:place] + name[place + 1 :]
        if wrong not in KNOWN_SETTINGS:
            assert name in meant(wrong, KNOWN_SETTINGS), wrong
