"""
A user of ClickHouse for analysts: reads this database, changes nothing, and cannot take the whole server for one query.

The rights and limits are those of a role, `{database}_analyst`, which an administrator may grant to other users, too. A
user who is there without the role was made by another hand, and stays as it is.
"""

import re
import secrets
from argparse import ArgumentTypeError
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import render
from sinks.errors import FatalError
from sinks.settings import SinksSettings
from streams.program.settings import SettingsError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_SHORTEST: Final = 12

LIMITS: Final = (
    # 2: settings of a query may be changed, as drivers do, but not this one; nothing is written.
    "readonly = 2 CONST",
    "max_execution_time = 60 MIN 1 MAX 60",
    "max_memory_usage = 4000000000 MIN 1 MAX 4000000000",
    "max_result_bytes = 1000000000 MIN 1 MAX 1000000000",
    "max_concurrent_queries_for_user = 4 CONST",
)
"""Setting = value, with the bounds within which a query may set it."""


def user_name(text: str) -> str:
    """Return the name of a user; ArgumentTypeError for one with other characters than letters, digits and _."""
    if not _NAME.fullmatch(text):
        raise ArgumentTypeError(f"{text!r}: up to 63 letters, digits and _ are expected, no digit first")
    return text


def require_password(settings: SinksSettings) -> None:
    """Raise SettingsError unless there is a password for analysts that is long enough."""
    if len(settings.clickhouse_analyst_password.get_secret_value()) < _SHORTEST:
        raise SettingsError(
            f"CLICKHOUSE_ANALYST_PASSWORD: --analyst-user needs a password of at least {_SHORTEST} characters"
        )


def make_analyst(clickhouse: ClickHouse, settings: SinksSettings, name: str) -> None:
    """
    Make the role and the user, or give the user the password and the role the limits of now.

    FatalError for a name that is taken, and when CLICKHOUSE_USER may not make users.
    """
    role = f"{settings.clickhouse_database}_analyst"
    try:
        taken = name in {settings.clickhouse_user, role} or _is_of_others(clickhouse, name, role)
        # A shard looks for the rights of the user, too.
        read = dict.fromkeys((settings.clickhouse_database, settings.tables_database))
        for statement in () if taken else statements(tuple(read), role, name, _identified(settings)):
            clickhouse.execute(render(statement, settings.clickhouse_cluster))
    except FatalError as error:
        raise FatalError(
            f"--analyst-user {name}: {error}. CLICKHOUSE_USER needs ACCESS MANAGEMENT, and SELECT ON "
            f"{settings.clickhouse_database}.* WITH GRANT OPTION"
        ) from error
    if taken:
        raise FatalError(
            f"--analyst-user {name}: this is the sinks' user, the role, or a user without it: choose another one"
        )


def _is_of_others(clickhouse: ClickHouse, name: str, role: str) -> bool:
    """Return whether there is such a user without the role."""
    users = "SELECT count() FROM system.users WHERE name = {name:String}"
    ours = (
        "SELECT count() FROM system.role_grants WHERE user_name = {name:String} AND granted_role_name = {role:String}"
    )
    parameters = {"name": name, "role": role}
    return bool(clickhouse.value(users, parameters)) and not clickhouse.value(ours, parameters)


def statements(databases: Sequence[str], role: str, name: str, identified: str) -> tuple[str, ...]:
    """Return the statements, with the placeholder of a cluster; each is safe to run again."""
    limits = ", ".join(LIMITS)
    return (
        f"CREATE ROLE IF NOT EXISTS `{role}` {{{{on_cluster}}}} SETTINGS {limits}",
        f"ALTER ROLE `{role}` {{{{on_cluster}}}} SETTINGS {limits}",
        *(f"GRANT {{{{on_cluster}}}} SELECT ON `{database}`.* TO `{role}`" for database in databases),
        f"CREATE USER IF NOT EXISTS `{name}` {{{{on_cluster}}}} {identified}",
        f"ALTER USER `{name}` {{{{on_cluster}}}} {identified}",
        f"GRANT {{{{on_cluster}}}} `{role}` TO `{name}`",
    )


def _identified(settings: SinksSettings) -> str:
    """Return how the user is known: by a salted hash, so that the password is in no query and no log."""
    password = settings.clickhouse_analyst_password.get_secret_value()
    salt = secrets.token_hex(16)
    return f"IDENTIFIED WITH sha256_hash BY '{sha256((password + salt).encode()).hexdigest()}' SALT '{salt}'"
