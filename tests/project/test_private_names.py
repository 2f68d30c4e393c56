"""The private names of libraries: still there in the installed versions, and used in `private_names.py` only."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest

from tests.support.markdown import ROOT

PROGRAMS = ("ingest", "streams", "sinks", "console", "sandbox")
LIBRARIES = ("faust", "mode", "aiokafka", "kafka")
# Programs in which each private name of a library is behind a function of their `private_names.py`.
WITHOUT_EXCEPTION = ("ingest", "streams", "sinks")
# Programs in which no class uses a private name that it inherits from a library.
INHERITING_NONE = ("ingest",)


def modules_named(pattern: str, *programs: str) -> list[str]:
    files = (file for program in programs for file in sorted((ROOT / program).rglob(pattern)))
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]


LISTS = modules_named("private_names.py", *PROGRAMS)
NAMES = [
    (module, owner, name)
    for listing in LISTS
    for module, owner, names in import_module(listing).PRIVATE_NAMES
    for name in names
]


def is_there(cls: type, name: str) -> bool:
    sources = (inspect.getsource(base) for base in cls.__mro__ if base.__module__.split(".")[0] in LIBRARIES)
    return hasattr(cls, name) or any(f"self.{name} " in source or f"self.{name}:" in source for source in sources)


@pytest.mark.parametrize(("module", "owner", "name"), NAMES)
def test_a_private_name_is_still_there(module: str, owner: str, name: str) -> None:
    """A class that no longer has the attribute, or no longer sets it, fails here."""
    assert is_there(attrgetter(owner)(import_module(module)), name)


def test_a_name_that_is_gone_is_noticed() -> None:
    assert not is_there(import_module("aiokafka.conn").AIOKafkaConnection, "_no_such_name")


def test_every_client_library_has_its_list() -> None:
    users = ("ingest.kafka", "sinks.kafka", "streams.program", "streams.runtime", "streams.state.changelog")
    assert {f"{user}.private_names" for user in users} == set(LISTS)
    assert {module.split(".")[0] for module, _, _ in NAMES} <= set(LIBRARIES)


@pytest.mark.parametrize("listing", LISTS)
def test_every_private_name_in_use_is_in_its_list(listing: str) -> None:
    """An attribute of an object, other than of `self`, that begins with an underscore."""
    tree = ast.parse((ROOT / f"{listing.replace('.', '/')}.py").read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr)}
    listed = {name for _, _, names in import_module(listing).PRIVATE_NAMES for name in names}
    assert used <= listed


@pytest.mark.parametrize("program", WITHOUT_EXCEPTION)
def test_private_names_are_used_in_one_place(program: str) -> None:
    """The linter reports every private attribute of another object (SLF001); only these modules may silence it."""
    files = [file for file in (ROOT / program).rglob("*.py") if re.search("noqa:.*SLF001", file.read_text())]
    assert {file.name for file in files} <= {"private_names.py"}


def classes_of(program: str) -> Iterator[type]:
    for name in modules_named("*.py", program):
        if not name.endswith("__main__"):
            module = import_module(name.removesuffix(".__init__"))
            yield from (one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == name)


def inherited_private_names(cls: type) -> set[str]:
    """Return the private names of `self` that a class uses and none of our own classes in its line defines."""
    ours = [base for base in cls.__mro__ if base.__module__.split(".")[0] not in LIBRARIES]
    used, defined = set[str](), {name for base in ours for name in (*vars(base), *vars(base).get("__slots__", ()))}
    for base in ours:
        if base.__module__.split(".")[0] in (*PROGRAMS, "tests"):
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                    (defined if isinstance(node.ctx, ast.Store) else used).add(node.attr)
    return {name for name in used - defined if name.startswith("_")}


@pytest.mark.parametrize("program", INHERITING_NONE)
def test_no_class_uses_a_private_name_that_it_inherits(program: str) -> None:
    """The linter does not see that `self._writer` was set by a library."""
    heirs = [
        cls for cls in classes_of(program) if any(base.__module__.split(".")[0] in LIBRARIES for base in cls.__mro__)
    ]
    assert heirs
    assert {cls.__name__: names for cls in heirs if (names := inherited_private_names(cls))} == {}


class _Heir(import_module("aiokafka.conn").AIOKafkaConnection):  # type: ignore[misc]
    def __init__(self) -> None:
        self._own = 1

    def use(self) -> object:
        return self._own, self._writer


def test_an_inherited_private_name_is_noticed() -> None:
    assert inherited_private_names(_Heir) == {"_writer"}


def test_every_list_is_beside_its_users() -> None:
    assert all((ROOT / Path(*name.split(".")).parent / "__init__.py").exists() for name in LISTS)
