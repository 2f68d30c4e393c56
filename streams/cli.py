"""
`routee-streams`: worker, topics, check, rebuild, erase, export, judge, replay, compare, alarms, contract.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.contract import permissions
from streams.contract.codec import encode, format_time_ms
from streams.contract.topics import ALL_TOPICS
from streams.errors import CertificatesError, StreamsError, TopicsDifferError, UsageError
from streams.program import exit_codes
from streams.program.brokers import kafka_file_problems
from streams.program.listening import port_problems
from streams.program.logline import configure_logging
from streams.program.printable import printable_lines
from streams.program.private_files import keep_files_private
from streams.program.settings import ABOUT_SETTINGS, SettingsError, load_settings
from streams.program.version import add_version
from streams.readers import access_problems
from streams.settings import StreamsSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Return 0 when done, 1 when it failed, 2 for wrong usage or settings, 130 when interrupted."""
    given = _parser().parse_args(arguments)
    without_settings: Callable[[argparse.Namespace], int] | None = given.without_settings
    if without_settings:
        return without_settings(given)
    command: Callable[[StreamsSettings, argparse.Namespace], None] = given.command
    try:
        settings = load_settings(StreamsSettings, look=given.look)
    except SettingsError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    configure_logging("streams", settings)
    try:
        command(settings, given)
    except UsageError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    except StreamsError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return exit_codes.FAILED
    except KeyboardInterrupt:  # a running worker handles it like SIGTERM
        return exit_codes.INTERRUPTED
    return exit_codes.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routee-streams",
        description="Turns Routee's callbacks in Kafka into the latest status of each SMS and the progress of each "
        f"campaign. {ABOUT_SETTINGS}",
    )
    add_version(parser)
    parser.set_defaults(without_settings=None)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command, look, about in (
        ("worker", _worker, _tokens_files_and_folder, "work until SIGTERM"),
        (
            "check",
            _check,
            _tokens_files_and_folder,
            "validate the settings, try the folder, reach Kafka, verify the topics; say every problem",
        ),
    ):
        commands.add_parser(name, help=about, description=about).set_defaults(command=command, look=look)
    about = "create missing topics; say what differs, with the change to make, and refuse what endangers records"
    topics = commands.add_parser("topics", help=about, description=about)
    topics.add_argument("--alter", action="store_true", help="make the changes of settings, too")
    topics.set_defaults(command=_topics, look=kafka_file_problems)
    about = "forget the state, which workers then make anew from the callbacks that are left in Kafka"
    rebuilding = commands.add_parser(
        "rebuild",
        help=about,
        description=f"{about}; no table has to be emptied; see streams/README.md first",
    )
    rebuilding.add_argument("--campaigns", action="store_true", help="the state of the campaigns, too")
    rebuilding.add_argument("--deliveries", action="store_true", help="the state of the cells of deliveries, too")
    rebuilding.set_defaults(command=_rebuild, look=kafka_file_problems)
    about = "erase everything that streams and sinks have of recipients, up to now"
    erasing = commands.add_parser("erase", help=about, description=f"{about}; see streams/README.md first")
    _add_recipients(erasing)
    erasing.add_argument("--verify", action="store_true", help="erase nothing: say what each store still has of them")
    erasing.set_defaults(command=_erase, look=kafka_file_problems)
    about = "print everything that every store has of recipients, a line of JSON for each place"
    exporting = commands.add_parser("export", help=about, description=f"{about}; it has numbers and texts")
    _add_recipients(exporting)
    exporting.set_defaults(command=_export, look=kafka_file_problems)
    about = "print what today's rules would make of callbacks, a line of JSON for each; reaches no Kafka"
    judging = commands.add_parser("judge", help=about, description=f"{about}. Nothing is known of their messages")
    _add_envelopes(judging)
    judging.set_defaults(command=_judge, look=lambda _: ())
    _add_replay(commands)
    _add_alarms(commands)
    about = "print the contract for machines: AsyncAPI, OpenAPI and JSON Schemas; reads no settings"
    contract = commands.add_parser("contract", help=about, description=about)
    contract.add_argument("--write", type=Path, metavar="FOLDER", help="write each document to a file of its own")
    contract.set_defaults(without_settings=_contract)
    return parser


def _add_alarms(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "mute a route, a sender or the account; rehearse alarms"
    alarms = commands.add_parser("alarms", help=about, description=about)
    actions = alarms.add_subparsers(required=True, metavar="action")
    for name, about in (
        ("mute", "withhold the notices of a subject for a while, as during a maintenance; its alarms are recorded"),
        ("unmute", "end a mute; alarms that are open are told again"),
    ):
        action = actions.add_parser(name, help=about, description=about)
        action.add_argument(
            "subject", metavar="SUBJECT", help='as the alarm has it: account, or JSON as \'["GR","Cosmote"]\''
        )
        action.set_defaults(command=_mute, look=kafka_file_problems, hours=None, until=None, mutes=name == "mute")
        if name == "mute":
            end = action.add_mutually_exclusive_group(required=True)
            end.add_argument("--hours", metavar="N", help="for so long, from now on")
            end.add_argument("--until", metavar="TIME", help="until then, as 2026-12-01T06:00:00Z")

    about = "print the alarms that recorded callbacks would have told, in their own time; reaches no Kafka"
    rehearsing = actions.add_parser("rehearse", help=about, description=f"{about}. STREAMS_ALARM_THRESHOLDS holds")
    _add_envelopes(rehearsing)
    rehearsing.set_defaults(command=_rehearse, look=lambda _: ())


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "take recorded callbacks through the rules of this version, and write what comes of them as Parquet"
    replaying = commands.add_parser("replay", help=about, description=f"{about}; nothing is written to Kafka")
    replaying.add_argument(
        "--from",
        dest="origin",
        required=True,
        metavar="kafka|ARCHIVE",
        help="Kafka, or SINKS_FILES_ROOT of the archive: a folder, or s3://bucket/prefix",
    )
    replaying.add_argument("--until", metavar="TIME", help="callbacks that Kafka got before, as 2026-12-01T06:00:00Z")
    replaying.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="a new folder")
    replaying.set_defaults(command=_replay, look=kafka_file_problems)
    about = "print the differences of two replays, per table and column; ends with 1 when there are any, 2 for trouble"
    comparing = commands.add_parser("compare", help=about, description=f"{about}; it needs the extra `compare`")
    comparing.add_argument("first", type=_side, metavar="A", help="a folder that `replay --into` wrote")
    comparing.add_argument(
        "second", type=_side, metavar="B", help="another one; `clickhouse`, as A or B: the database of CLICKHOUSE_URL"
    )
    comparing.set_defaults(without_settings=_compare)


def _add_envelopes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from-file", metavar="FILE", default="-", help="envelopes of callbacks.raw, one a line; `-`: standard input"
    )


def _add_recipients(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipient", action="append", default=[], metavar="NUMBER", help="a number with `+` and its country's code"
    )
    parser.add_argument("--from-file", metavar="FILE", help="a file with one a line, `-` for standard input")


def _contract(given: argparse.Namespace) -> int:
    """Print or write the documents; return the exit code."""
    from streams.contract.documents import checked_in, write  # noqa: PLC0415

    documents, folder = checked_in(), given.write
    if folder is None:
        # JSON is YAML, too: the whole is one stream of YAML documents.
        print("".join(f"--- # {name}\n{text.decode()}" for name, text in documents.items()), end="")
        return exit_codes.DONE
    try:
        write(documents, folder)
    except OSError as error:
        print(printable_lines(f"--write {folder}: {error.filename}: {error.strerror}"), file=sys.stderr)
        return exit_codes.FAILED
    print(printable_lines("".join(f"{folder / name}\n" for name in documents)), end="")
    return exit_codes.DONE


def _tokens_files_and_folder(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of tokens, and of the files and the folder that are named; `named` has the valid settings."""
    from streams.folder import require_usable  # noqa: PLC0415

    yield from access_problems(named)
    yield from kafka_file_problems(named)
    if "streams_data_dir" in named:
        try:
            require_usable(Path(named["streams_data_dir"]))
        except StreamsError as error:
            yield str(error)


def _worker(settings: StreamsSettings, _given: argparse.Namespace) -> None:
    keep_files_private()
    ports = port_problems(settings.admin_endpoint, settings.web_endpoint)
    if problems := [*_tokens_files_and_folder(vars(settings)), *ports]:
        raise StreamsError("\n".join(problems))
    # Importing Faust is slow, and the other commands do not need it.
    from streams.process import run_worker  # noqa: PLC0415

    run_worker(settings)


def _topics(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.topics import Alterations, connect  # noqa: PLC0415

    prefix = settings.kafka_topic_prefix
    with connect(settings) as topics:
        created = topics.create(topics.missing())
        altered = topics.alter() if given.alter else Alterations()
        tried = [topic for topic in ALL_TOPICS if topic not in created.refused]
        findings = topics.findings(tried, (permissions.alter if given.alter else permissions.topics)(prefix))
        there = topics.ids(tried)
    for topic in there:
        name = topic.name(prefix)
        print(f"{name}: {'created' if topic in created.made else 'exists'}")
        for fault in altered.made.get(topic, ()):
            print(f"{name}: {fault.setting}={fault.found} is now {fault.wanted}")
    for line in findings.warned:
        print(f"warning: {line}")
    if problems := [*created.refused.values(), *altered.refused.values(), *findings.problems]:
        raise TopicsDifferError([*dict.fromkeys(problems)])


def _check(settings: StreamsSettings, _given: argparse.Namespace) -> None:
    from streams.admin.topics import verify  # noqa: PLC0415

    problems = list(_tokens_files_and_folder(vars(settings)))
    try:
        verify(settings, warn=lambda line: print(f"warning: {line}"), more=settings.more_permissions)
    except CertificatesError:  # told with the other files
        pass
    except StreamsError as error:
        problems.append(str(error))
    if problems:
        raise StreamsError("\n".join(problems))
    print(
        f"settings, {settings.streams_data_dir}, and the topics and permissions of a worker on "
        f"{settings.kafka_bootstrap_servers} are as they should be"
    )


def _warn_aside(line: str) -> None:
    """Warn beside an output that programs may read."""
    print(f"warning: {line}", file=sys.stderr)


def _erase(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.erase import erase  # noqa: PLC0415
    from streams.admin.recipients import given_recipients  # noqa: PLC0415

    recipients = given_recipients(given.recipient, given.from_file)
    if given.verify:
        _verify(settings, recipients)
        return
    told = erase(settings, recipients, _warn_aside)
    noun = "recipient" if len(recipients) == 1 else "recipients"
    print(f"erasures of {len(recipients)} {noun} are in Kafka: workers and sinks apply them now")
    for line in told:
        print(f"not found: {line}")


def _verify(settings: StreamsSettings, recipients: Sequence[str]) -> None:
    from streams.admin.verify import verify  # noqa: PLC0415

    left = []
    for store in verify(settings, recipients, _warn_aside):
        print(store.line(), flush=True)
        left += [store.name] if store.found and store.expires_on is None else []
    if left:
        raise StreamsError(f"left, and without a date by which it is gone: {', '.join(left)}")


def _export(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.recipients import given_recipients  # noqa: PLC0415
    from streams.admin.verify import export  # noqa: PLC0415

    for line in export(settings, given_recipients(given.recipient, given.from_file), _warn_aside):
        sys.stdout.buffer.write(line + b"\n")


def _mute(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.mute import mute_end, unmuted, write_mute  # noqa: PLC0415

    if given.mutes:
        subject, minute = mute_end(given.subject, given.hours, given.until, datetime.now(UTC))
        write_mute(settings, subject, minute, _warn_aside)
        print(f"{subject} is muted until {format_time_ms(minute * 60_000)}")
    else:
        subject = unmuted(given.subject)
        write_mute(settings, subject, 0, _warn_aside)
        print(f"{subject} is not muted")


def _judge(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.judge import judge  # noqa: PLC0415

    for verdict in judge(settings, given.from_file):
        sys.stdout.buffer.write(encode(verdict) + b"\n")


def _replay(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.replay.command import replay  # noqa: PLC0415

    keep_files_private()
    summary = replay(settings, given.origin, _until_ms(given.until), given.into, _warn_aside)
    for table, rows in sorted(summary["rows"].items()):
        print(f"{table}: {rows} rows")


def _until_ms(text: str | None) -> int | None:
    try:
        until = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until {text}: a time as 2026-12-01T06:00:00Z is expected") from None
    if until is None:
        return None
    return round((until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() * 1000)


def _side(text: str) -> Path:
    """Return a side of a comparison: only the bare word is the database, `./clickhouse` is a folder."""
    path = Path(text)
    return path if str(path) == text else path.absolute()


def _compare(given: argparse.Namespace) -> int:
    """Print the differences; return 1 when there are any, and 2 for every trouble, as `diff` does."""
    from streams.replay.clickhouse import NAME, ClickHouseSettings  # noqa: PLC0415
    from streams.replay.compare import compare  # noqa: PLC0415

    found, sides = 0, [str(given.first), str(given.second)]
    try:
        if sides == [NAME, NAME]:
            raise UsageError("one of A and B is a folder that `routee-streams replay --into` wrote")
        settings = load_settings(ClickHouseSettings) if NAME in sides else None
        keep_files_private()
        for difference in compare(given.first, given.second, settings):
            print(printable_lines(difference.line()))
            found += 1
    except (StreamsError, SettingsError, OSError) as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    if not found:
        print("no difference")
    return exit_codes.FAILED if found else exit_codes.DONE


def _rehearse(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.rehearse import rehearse  # noqa: PLC0415

    for record in rehearse(settings, given.from_file, _warn_aside):
        sys.stdout.buffer.write(encode(record) + b"\n")
        sys.stdout.buffer.flush()


def _rebuild(settings: StreamsSettings, given: argparse.Namespace) -> None:
    from streams.admin.rebuild import rebuild  # noqa: PLC0415

    for topic in rebuild(settings, campaigns=given.campaigns, deliveries=given.deliveries):
        print(f"{topic.name(settings.kafka_topic_prefix)}: made anew")
