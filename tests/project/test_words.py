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
LIMITS = {"ingest": 0.2, "streams": 0.2, "sinks": 0.2, "sandbox": 0.2, "tests": 0.2}

RIDDLES = re.compile(
    r"\b(?:who|what|which)(?:so)?ever\b"
    r"|\b(?:some|any|every)(?:body|one)\b|\bnobody\b"
    r"|\bthose (?:that|who|which|whose)\b"
    r"|\bwhat (?:is|was|are|were|has|had)\b",
    re.IGNORECASE,
)
# Compared with its capital letter: the word begins a sentence.
OPENINGS = re.compile(r"(?:^|[.:;!?]\s+)(?:What|Of which|Of whom|Those)\b")


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
    words = [" ".join(found.group().split()) for found in RIDDLES.finditer(" ".join(text.split()))]
    openings = [found.group() for found in OPENINGS.finditer(" ".join(text.split()))]
    return [*words, *openings]


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", LIMITS)
def test_comments_name_their_subject(folder: str) -> None:
    sources = {file: file.read_text() for file in modules(folder)}
    lines = sum(len(source.splitlines()) for source in sources.values())
    found = [f"{file.relative_to(ROOT)}:{one}" for file, source in sources.items() for one in riddles(source)]
    assert len(found) * 1000 <= LIMITS[folder] * lines, f"{len(found)} in {lines} lines:\n" + "\n".join(found)
