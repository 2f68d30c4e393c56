"""The options of the redrive that do not go together are told in one line."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from ingest.redrive.arguments import add_arguments, usage_problem


def problem_of(*options: str) -> str | None:
    parser = ArgumentParser()
    add_arguments(parser)
    return usage_problem(parser.parse_args(options))


SINCE = ("--since", "2026-11-22T09:00:00Z")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "--since is needed"),
        (("--reason", "bug"), "--since is needed"),
        ((*SINCE, "--until", "2026-11-22T09:00:00Z"), "--until is before --since"),
        ((*SINCE, "--plan", "--export", "f"), "give one of them"),
        (("--import", "f", *SINCE), "--import has the callbacks itself"),
        (("--import", "f", "--export", "g"), "--import has the callbacks itself"),
        ((*SINCE, "--archive", "/no/such/folder"), "no such folder"),
        ((*SINCE, "--archive", "gs://bucket"), "other stores are not tested"),
        ((*SINCE, "--archive", "s3://My_Bucket"), "the bucket of 3 to 63 small letters, digits, . and -"),
    ],
)
def test_options_that_do_not_go_together(options: tuple[str, ...], problem: str) -> None:
    told = problem_of(*options)
    assert told is not None
    assert problem.replace("itself", "themselves") in told


def test_options_that_go_together(tmp_path: Path) -> None:
    assert problem_of(*SINCE, "--reason", "bug", "--reason", "expired", "--plan") is None
    assert problem_of("--import", "f", "--plan", "--rate", "0.5") is None
    assert problem_of(*SINCE, "--export", "f", "--archive", str(tmp_path)) is None


@pytest.mark.parametrize("options", [("--rate", "0"), ("--rate", "fast"), ("--reason", "none"), ("--since", "soon")])
def test_a_value_that_cannot_be_is_wrong_usage(options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        problem_of(*options)


def test_a_thousand_callbacks_a_second_are_the_default() -> None:
    parser = ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args([]).rate == 1000.0
