"""The README of streams says what the code does."""

from pathlib import Path

import pytest

import streams
from streams.errors import Exit
from streams.settings import StreamsSettings

README = Path(streams.__file__).with_name("README.md").read_text()


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_explained(code: Exit) -> None:
    assert f"| {int(code)} | `{code.name.lower().replace('_', '-')}` |" in README


@pytest.mark.parametrize("name", [name for name in StreamsSettings.model_fields if name.startswith("streams_")])
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name.upper()}`" in README


def test_every_file_that_it_names_exists() -> None:
    folder = Path(streams.__file__).parent
    named = {word.strip("`(),") for word in README.split() if word.strip("`(),").endswith(".py") and "`" in word}
    missing = [name for name in named if not list(folder.glob(name)) and not list(folder.parent.glob(name))]
    assert named
    assert not missing
