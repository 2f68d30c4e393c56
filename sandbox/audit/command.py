"""
`routee-sandbox verify`: a sandbox that runs, against the ledger of an emulator that has sent to it.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Final

from sandbox.addresses import addresses_of
from sandbox.audit.audit import Audit, Kafka, Sources, audit
from sandbox.audit.clickhouse import ClickHouse
from sandbox.audit.errors import AuditError
from sandbox.emulator.errors import EmulatorError
from sandbox.emulator.ledger import read_ledger
from sandbox.settings import SandboxSettings
from streams.program import exit_codes
from streams.program.printable import printable, printable_lines
from streams.program.settings import SettingsError, load_settings

_SHOWN: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `verify`."""
    parser.add_argument(
        "--ledger", type=Path, required=True, metavar="FILE", help="what `emulate --ledger` has written"
    )
    parser.add_argument(
        "--backfilled",
        action="store_true",
        help="Routee was asked for what it did not tell: the state is the truth, not what follows from the callbacks",
    )
    parser.add_argument(
        "--quiet-seconds",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="give up on what is missing when nothing has changed for so long (%(default)s)",
    )
    parser.epilog = "The sandbox is found by the settings it was started with, see `routee-sandbox up --help`."


def run(args: argparse.Namespace) -> int:
    """Compare; return 0 when everything shows what follows from the ledger, 1 if not, 2 for wrong settings."""
    logging.getLogger("kafka").setLevel(logging.ERROR)
    try:
        oracle = read_ledger(args.ledger, backfilled=args.backfilled)
        found = audit(oracle, sources_of(load_settings(SandboxSettings)), quiet_seconds=args.quiet_seconds)
    except SettingsError as error:
        sys.stderr.write(f"{printable_lines(str(error))}\n")
        return exit_codes.USAGE
    except (AuditError, EmulatorError, OSError) as error:
        sys.stderr.write(f"verify: {printable_lines(str(error))}\n")
        return exit_codes.FAILED
    sys.stdout.write(_report(found))
    return exit_codes.FAILED if found.differences else exit_codes.DONE


def sources_of(settings: SandboxSettings) -> Sources:
    """Return the tables and the topics of a sandbox with these settings."""
    addresses = addresses_of(settings)
    password = settings.clickhouse_password.get_secret_value()
    clickhouse = ClickHouse(addresses.clickhouse, settings.clickhouse_user, settings.clickhouse_database, password)
    return Sources(clickhouse, Kafka(addresses.kafka, settings.kafka_topic_prefix))


def _report(found: Audit) -> str:
    lines = [printable(str(difference)) for difference in found.differences[:_SHOWN]]
    if len(found.differences) > _SHOWN:
        lines.append(f"… and {len(found.differences) - _SHOWN:,} more")
    looked_at = (
        f"{found.sms:,} SMS, {found.messages:,} messages, {found.campaigns} campaigns, {found.malformed:,} malformed"
    )
    unsure = f", {found.unsure:,} of them unsure: sent and never answered" if found.unsure else ""
    lines.append(f"{len(found.differences):,} differences in {looked_at}{unsure}")
    return "\n".join(lines) + "\n"
