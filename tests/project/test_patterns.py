"""
Regular expressions mean the same in every Python from 3.11 on.
"""

import ast
import re
from pathlib import Path

import pytest

from tests.support.markdown import ROOT

POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+")


def texts(source: str) -> list[str]:
    """Return each constant text of Python code, and each constant part of an f-string."""
    constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return [
        text.decode("latin-1") if isinstance(text, bytes) else text
        for text in constants
        if isinstance(text, str | bytes)
    ]


def possessive_groups(source: str) -> list[str]:
    return [text for text in texts(source) if POSSESSIVE_GROUP.search(text)]


@pytest.mark.parametrize("folder", ["ingest", "streams", "sinks", "console", "sandbox", "docker", "tests"])
def test_no_group_is_repeated_possessively(folder: str) -> None:
    """
    Python before 3.11.5 goes on at a wrong place behind such a group, when its last repetition fails half way.

    Debian 12 has 3.11.2. A possessive repetition of a single character or class is safe.
    """
    found = {
        str(path.relative_to(ROOT)): groups
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__) and (groups := possessive_groups(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize("pattern", ["(a|b)*+", "(?:ab?)++c", "(ab)?+", "(ab){1,3}+", "(ab){2}+"])
def test_a_group_that_is_repeated_possessively_is_found(pattern: str) -> None:
    assert (
        possessive_groups(f"compile(r'{pattern}')\ncompile(rb'{pattern}')\ncompile(rf'{{x}}[a-z]*+')") == [pattern] * 2
    )


@pytest.mark.parametrize("pattern", ["[a-z]*+", r"\s++", "a{1,3}+", "(a|b)*", r"(a)\+"])
def test_other_patterns_are_accepted(pattern: str) -> None:
    assert possessive_groups(f"compile(r'{pattern}')") == []
