"""
The options of `emulate`: what they mean, and how wrong ones are refused.
"""

import shlex
from argparse import ArgumentParser
from datetime import UTC, datetime

import pytest

from sandbox.emulator.arguments import add_arguments, command_line, pull_options, send_options, traffic_options
from sandbox.emulator.command import default_start
from sandbox.emulator.pull.options import DateMeaning
from sandbox.emulator.retries import WAITS, RetrySchedule
from sandbox.emulator.traffic.model import Strategy
from sandbox.emulator.traffic.schedule import schedule

URL = ("--url", "http://127.0.0.1:8080/callbacks/s3cret")


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="routee-sandbox emulate")
    add_arguments(made)
    return made


def test_defaults_are_those_of_the_contract() -> None:
    """Faults without an option have the documented shares."""
    options = traffic_options(parser().parse_args(URL))
    assert (options.duplicates, options.reorder, options.lost) == (0.05, 0.1, 0.0)
    assert (options.multipart, options.conflicts, options.malformed) == (0.1, 0.001, 0.001)
    assert options.strategies == (Strategy.ON_CHANGE,)


def test_every_option_of_the_contract_is_there() -> None:
    """The command line that the contract shows is understood."""
    line = (
        "--campaigns 2 --recipients 7 --singles 3 --strategy on-completion --rate 50 --seed 11 --ledger ledger.ndjson "
        "--duplicates 0.1 --reorder 0.2 --lost 0.3 --multipart 0.4 --conflicts 0.5 --malformed 0.6 --retry-scale 0.001"
    )
    args = parser().parse_args([*URL, *line.split()])
    options, sending = traffic_options(args), send_options(args)
    assert (options.seed, options.campaigns, options.recipients, options.singles) == (11, 2, 7, 3)
    assert options.strategies == (Strategy.ON_COMPLETION,)
    assert (options.lost, options.conflicts, options.malformed) == (0.3, 0.5, 0.6)
    assert (sending.rate, sending.retries) == (50, RetrySchedule(0.001))


@pytest.mark.parametrize("strategy", ["on-change", "on-completion", "mixed"])
def test_the_command_line_of_a_traffic_sends_that_traffic(strategy: str) -> None:
    """Written out and read again, the options are the same, those with and those without their defaults."""
    line = f"--strategy {strategy} --seed 5 --campaigns 0 --lost 0.25 --reorder 0 --legacy 0.02"
    traffic = traffic_options(parser().parse_args([*URL, *line.split()]))
    program, command, *options = shlex.split(command_line(traffic))
    assert (program, command) == ("routee-sandbox", "emulate")
    assert traffic_options(parser().parse_args(options)) == traffic
    assert "--legacy" not in options


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--url", "ftp://somewhere"), "argument --url: 'ftp://somewhere': a callback URL looks like"),
        (("--url", "http://127.0.0.1:port/"), "argument --url: 'http://127.0.0.1:port/': "),
        ((*URL, "--recipients", "many"), "argument --recipients: 'many' is no whole number from 0 on"),
        ((*URL, "--recipients", "-1"), "argument --recipients: '-1' is no whole number from 0 on"),
        ((*URL, "--rate", "0"), "argument --rate: '0' is not above 0"),
        ((*URL, "--rate", "nan"), "argument --rate: 'nan' is not above 0"),
        ((*URL, "--lost", "1.5"), "argument --lost: '1.5' is not between 0 and 1"),
        ((*URL, "--connections", "0"), "argument --connections: at least 1 is needed"),
        ((*URL, "--start", "noon"), "argument --start: 'noon' is no time like"),
        ((*URL, "--strategy", "never"), "argument --strategy: invalid choice: 'never'"),
        ((), "the following arguments are required: --url"),
    ],
)
def test_wrong_options_are_one_clear_line(
    wrong: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a last line that names the option."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(wrong)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_traffic_starts_yesterday_at_midnight() -> None:
    """All day long the same seed gives the same bytes, and no time of Routee's lies in the future."""
    early, late = datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC), datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    assert default_start(early) == default_start(late) == datetime(2026, 11, 21, tzinfo=UTC).timestamp()


def test_retries_are_those_of_routee_to_scale() -> None:
    """Twelve waits from 30 s to 24 h, over 40 hours in all, then none."""
    assert list(WAITS) == [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400]
    schedule = RetrySchedule(0.01)
    assert schedule.wait(1) == pytest.approx(0.3)
    assert schedule.wait(12) == pytest.approx(864)
    assert schedule.wait(13) is None


def test_the_pull_api_and_swallowed_callbacks_are_options() -> None:
    """The same seed swallows the same callbacks; without the option none is."""
    line = "--swallowed 0.5 --pull-port 8099 --pull-dates created --pull-old-form --pull-no-campaign-ids"
    args = parser().parse_args([*URL, *line.split()])
    options = pull_options(args)
    assert (options.dates, options.old_form, options.campaign_ids) == (DateMeaning.CREATED, True, False)
    (callback, *_) = schedule(traffic_options(args), 1_795_000_000)
    swallow, again = send_options(args).swallow, send_options(args).swallow
    assert swallow is not None
    assert again is not None
    chosen = [swallow(callback) for _ in range(50)]
    assert chosen == [again(callback) for _ in range(50)]
    assert set(chosen) == {True, False}
    assert send_options(parser().parse_args(URL)).swallow is None
