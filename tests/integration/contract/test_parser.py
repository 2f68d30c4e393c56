"""The official parser of AsyncAPI takes the document without a word."""

import shutil
import subprocess
from pathlib import Path

import pytest

from streams.contract import documents
from tests.support.toolchain import fetch, need

HERE = Path(__file__).parent / "asyncapi"

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the parser and its pinned packages."""
    need("node", "npm")
    folder = tmp_path_factory.mktemp("parser") / "asyncapi"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules"))
    fetch("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    return folder


def parsed(parser: Path, document: bytes) -> list[str]:
    file = parser / "document.yaml"
    file.write_bytes(document)
    command = ["node", "parse.mjs", str(file)]
    done = subprocess.run(command, cwd=parser, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def test_the_parser_has_nothing_to_say_about_the_asyncapi_document(parser: Path) -> None:
    assert parsed(parser, documents.checked_in()["asyncapi.yaml"]) == ["3.1.0"]


@pytest.mark.parametrize(
    ("right", "wrong"), [(b"action: send", b"action: shout"), (b"/messages/sms.status'", b"/messages/nowhere'")]
)
def test_the_parser_names_the_fault(parser: Path, right: bytes, wrong: bytes) -> None:
    document = documents.checked_in()["asyncapi.yaml"]
    assert right in document
    assert parsed(parser, document.replace(right, wrong, 1)) != ["3.1.0"]
