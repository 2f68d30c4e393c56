"""
The comments, docstrings and test names name their subject, and do not leave it to be guessed.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.support.markdown import ROOT

# Riddles in 1,000 lines of Python that each folder may have at most.
LIMITS = {"ingest": 23.0, "streams": 20.6, "sinks": 16.7, "sandbox": 0.2, "tests": 6.3}

RIDDLES = re.compile(
    r"\b(?i:(?:who|what|which)(?:so)?ever|(?:some|any|every)(?:body|one)|nobody)\b"
    r"|\b(?i:those (?:that|who|which|whose)|what (?:is|was|are|were|has|had))\b"
    # These begin a sentence.
    r"|(?:^|(?<=[.:;!?] ))(?:What|Who|Those|Of which|Of whom)\b"
)


def prose(source: str) -> list[tuple[int, str]]:
    """Return the first line and the text of each comment, docstring and test name."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [(token.start[0], token.string.lstrip("# ")) for token in tokens if token.type == tokenize.COMMENT]
    return [*comments, *(text for node in ast.walk(ast.parse(source)) for text in texts_of(node))]


def texts_of(node: ast.AST) -> list[tuple[int, str]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return [(node.lineno, node.value.value.strip())]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
        return [(node.lineno, node.name.removeprefix("test_").replace("_", " "))]
    return []


def riddles(source: str) -> list[str]:
    """Return each riddle with the line at which its text begins."""
    found = [(line, word) for line, text in prose(source) for word in words_in(text)]
    return [f"{line}: {word}" for line, word in sorted(found)]


def words_in(text: str) -> list[str]:
    return RIDDLES.findall(" ".join(text.split()))


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", LIMITS)
def test_comments_name_their_subject(folder: str) -> None:
    sources = {file: file.read_text() for file in modules(folder)}
    lines = sum(len(source.splitlines()) for source in sources.values())
    found = [f"{file.relative_to(ROOT)}:{one}" for file, source in sources.items() for one in riddles(source)]
    assert len(found) * 1000 <= LIMITS[folder] * lines, f"{len(found)} in {lines} lines:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""Refuses whoever comes."""', ["1: whoever"]),
        ('"""\nReturns what\nis left.\n"""', ["1: what is"]),
        ('limit = 1\n"""Read by those that ask."""', ["2: those that"]),
        ("x = 1  # nobody reads it", ["1: nobody"]),
        ('"""The end. Those stay."""', ["1: Those"]),
        ("def test_what_is_new_is_said() -> None: ...", ["1: what is"]),
        ("async def test_nobody_waits() -> None: ...", ["1: nobody"]),
    ],
)
def test_a_riddle_is_found(source: str, found: list[str]) -> None:
    assert riddles(source) == found


@pytest.mark.parametrize(
    "source", ['text = "what is nobody"', "def what_is() -> None: ...", '"""A message that says what to do."""']
)
def test_data_other_names_and_plain_words_are_left_alone(source: str) -> None:
    assert riddles(source) == []
