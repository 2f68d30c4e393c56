"""
A bare system takes from this machine the ways to the registries, and nothing else.
"""

from pathlib import Path

from tests.fresh.machine import environment, files, mirror

TARGETS = [
    "bookworm-security|main|http://127.0.0.1/debian-security/",
    "stable|cloud|http://127.0.0.1/another-vendor/",
    "bookworm|main|http://127.0.0.1/debian/",
    "bookworm-updates|main|http://127.0.0.1/debian/",
]


def test_what_says_how_registries_are_reached_is_passed_on() -> None:
    given = {
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_CERT": "/etc/ca.pem",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX_INTERNAL_PASSWORD": "p",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "https_proxy": "http://127.0.0.1:3128",
        "NO_PROXY": "127.0.0.1",
        "CI": "true",
    }
    assert environment(given) == given


def test_what_names_things_of_this_machine_is_not() -> None:
    kept_here = [
        "PATH",
        "HOME",
        "PIP_FIND_LINKS",
        "PIP_CACHE_DIR",
        "UV_CACHE_DIR",
        "UV_PYTHON",
        "PYTHONPATH",
        "INGEST_PORT",
    ]
    assert environment(dict.fromkeys(kept_here, "x")) == {}


def test_the_files_that_are_there_are_laid_where_programs_look_for_them(tmp_path: Path) -> None:
    authority, own = tmp_path / "ca.pem", tmp_path / ".config" / "pip" / "pip.conf"
    own.parent.mkdir(parents=True)
    for file in (authority, own):
        file.touch()
    found = files({"PIP_CERT": str(authority), "SSL_CERT_FILE": str(tmp_path / "none")}, tmp_path)
    assert (authority, authority) in found
    assert (own, Path(".config/pip/pip.conf")) in found
    assert all(file.is_file() for file, _ in found)


def test_the_archive_is_that_of_this_debian_itself() -> None:
    assert mirror(TARGETS, "bookworm") == "http://127.0.0.1/debian"


def test_an_archive_named_by_a_class_of_releases_will_do() -> None:
    assert mirror(["stable|main|http://127.0.0.1/debian"], "bookworm") == "http://127.0.0.1/debian"


def test_without_an_archive_of_this_debian_there_is_none() -> None:
    assert mirror(TARGETS[:2], "bookworm") is None
    assert mirror([], "") is None
