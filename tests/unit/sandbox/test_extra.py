"""A package that was installed without its extra `sandbox`."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sandbox.extra import MODULES
from tests.support.markdown import ROOT

# As if none of them were installed, and as if a lookup said so by an exception.
_WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from sandbox.__main__ import main
sys.argv = ["routee-sandbox", *{arguments!r}]
sys.exit(main())
"""


def without(*modules: str, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    code = _WITHOUT.format(modules=modules, arguments=arguments)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_without_the_extra_a_command_that_needs_it_says_how_to_install_it(command: str) -> None:
    done = without(*MODULES, arguments=(command,))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "the extra `sandbox` is not installed: pip install 'routee-callbacks[sandbox]' "
        f"(missing: {', '.join(MODULES)})\n"
    )


def test_a_part_of_it_that_is_missing_is_named() -> None:
    done = without("jgo", arguments=("demo",))
    assert done.returncode == 1
    assert done.stderr.endswith(" (missing: jgo)\n")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("emulate", "--help"), ("verify", "--help")], ids=" ".join
)
def test_what_does_not_need_the_extra_works_without_it(arguments: tuple[str, ...]) -> None:
    done = without(*MODULES, arguments=arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_extra_is_that_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {canonicalize_name(Requirement(line).name) for line in extras["sandbox"]}
    distributions = packages_distributions()
    found = {canonicalize_name(name) for module in MODULES for name in distributions[module]}
    assert found == wanted
