"""The private names of Faust and aiokafka that streams uses exist in the installed versions."""

import inspect
from importlib import import_module

import pytest

from streams.runtime.private_names import PRIVATE_NAMES


@pytest.mark.parametrize(
    ("module", "owner", "name"),
    [(module, owner, name) for module, owner, names in PRIVATE_NAMES for name in names],
)
def test_a_private_name_is_still_there(module: str, owner: str, name: str) -> None:
    """The test fails when a class no longer has or sets the attribute."""
    cls = getattr(import_module(module), owner)
    sources = (
        inspect.getsource(base) for base in cls.__mro__ if base.__module__.startswith(("faust", "mode", "aiokafka"))
    )
    assert hasattr(cls, name) or any(f"self.{name} " in source or f"self.{name}:" in source for source in sources)
