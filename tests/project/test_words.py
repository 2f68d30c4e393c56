"""
Comments, docstrings, test names and documents name their subject, and do not leave it to be guessed.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.support import markdown
from tests.support.markdown import ROOT, documents

LIMIT = 0.2
"""Riddles in 1,000 lines that the Python of each folder, and each document, may have at most."""
FOLDERS = ("ingest", "streams", "sinks", "console", "sandbox", "tests")

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
    """Return each riddle of Python code with the line at which its text begins."""
    return riddles_in(prose(source))


def riddles_in(texts: list[tuple[int, str]]) -> list[str]:
    found = [(line, word) for line, text in texts for word in words_in(text)]
    return [f"{line}: {word}" for line, word in sorted(found)]


def words_in(text: str) -> list[str]:
    return RIDDLES.findall(" ".join(text.split()))


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_comments_name_their_subject(folder: str) -> None:
    sources = {file: file.read_text() for file in modules(folder)}
    lines = sum(len(source.splitlines()) for source in sources.values())
    found = [f"{file.relative_to(ROOT)}:{one}" for file, source in sources.items() for one in riddles(source)]
    assert len(found) * 1000 <= LIMIT * lines, f"{len(found)} in {lines} lines:\n" + "\n".join(found)


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_documents_name_their_subject(file: Path) -> None:
    source = file.read_text()
    found, lines = riddles_in(markdown.prose(source)), len(source.splitlines())
    assert len(found) * 1000 <= LIMIT * lines, f"{len(found)} in {lines} lines:\n" + "\n".join(found)


def test_no_advice_names_a_script_of_kafka() -> None:
    """Its scripts are not there: our commands are, or the change is told in Kafka's words. In a container they are."""
    programs = [file for folder in FOLDERS[:-1] for file in modules(folder)]
    advice = [*programs, *(file for file in documents() if file.parent.name != "docker")]
    assert [file for file in advice if re.search(r"\bkafka-[a-z-]+\.sh\b", file.read_text())] == []


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


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("# Title\n\nNobody\nreads it.\n", ["3: Nobody"]),
        ("A rule. What\nis left stays.\n", ["1: What is"]),
        ("- One.\n- **Those** stay.\n", ["2: Those"]),
        ("1. What `up` says.\n", ["1: What"]),
        ("| a | b |\n|---|---|\n| `x` | whoever comes |\n", ["3: whoever"]),
        ("```sh\nls\n```\n\n    code\n\n[those that](x.md) come\n", ["7: those that"]),
    ],
)
def test_a_riddle_in_a_document_is_found(source: str, found: list[str]) -> None:
    assert riddles_in(markdown.prose(source)) == found


@pytest.mark.parametrize(
    "source",
    [
        "```sh\nmake  # what is nobody\n```\n",
        "Text:\n\n    what is nobody\n\n    those that\n",
        "| `what is` | [here](nobody.md) |\n",
        "## What is answered\n",
        "It says what to do: `nobody\nwhoever`.\n",
    ],
)
def test_code_links_and_headings_of_a_document_are_left_alone(source: str) -> None:
    assert riddles_in(markdown.prose(source)) == []
