"""
The user for analysts: its statements, whom it leaves alone, and that no statement has the password.
"""

from argparse import ArgumentTypeError
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import SecretStr

from sinks.clickhouse.analyst import make_analyst, require_password, user_name
from sinks.errors import FatalError
from sinks.settings import SinksSettings
from streams.program.settings import SettingsError

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouse

PASSWORD = "correct horse battery"  # noqa: S105 - of the tests
SETTINGS = SinksSettings(clickhouse_user="sinks", clickhouse_analyst_password=SecretStr(PASSWORD))


class Server:
    """A ClickHouse with users and the roles that they have."""

    def __init__(self, users: dict[str, set[str]]) -> None:
        self._users = users
        self.executed: list[str] = []

    def value(self, sql: str, parameters: dict[str, Any]) -> int:
        roles = self._users.get(parameters["name"])
        return int(roles is not None if "system.users" in sql else parameters["role"] in (roles or ()))

    def execute(self, sql: str) -> None:
        self.executed.append(sql)


def made(users: dict[str, set[str]], name: str = "ana", **settings: Any) -> list[str]:  # noqa: ANN401 - of the model
    server = Server(users)
    make_analyst(cast("ClickHouse", server), SETTINGS.model_copy(update=settings), name)
    return server.executed


def test_it_reads_the_database_and_has_limits() -> None:
    statements = made({})
    assert "GRANT  SELECT ON `routee`.* TO `routee_analyst`" in statements
    assert "GRANT  `routee_analyst` TO `ana`" in statements
    (limited,) = [one for one in statements if one.startswith("ALTER ROLE")]
    assert "readonly = 2 CONST" in limited
    assert "max_execution_time = 60 MIN 1 MAX 60" in limited
    assert [one for one in statements if "GRANT" in one and "SELECT" not in one] == [statements[-1]]


def test_on_shards_it_reads_the_database_of_each_too() -> None:
    read = [one for one in made({}, clickhouse_cluster="main", clickhouse_sharded="yes") if "GRANT ON" in one]
    assert [one.partition(" SELECT ON ")[2].partition(".")[0] for one in read[:2]] == ["`routee`", "`routee_shard`"]


def test_no_statement_has_the_password_but_a_hash_with_a_salt_of_its_own() -> None:
    statements = made({})
    assert not [one for one in statements if PASSWORD in one]
    (created,) = [one for one in statements if one.startswith("CREATE USER")]
    _, hashed, _, salt, _ = created.split("'")
    assert hashed == sha256((PASSWORD + salt).encode()).hexdigest()
    assert len(salt) == 32
    assert salt not in "".join(made({}))


def test_a_user_of_ours_gets_the_password_of_now() -> None:
    assert [one[:16] for one in made({"ana": {"routee_analyst"}}) if "ALTER USER" in one] == ["ALTER USER `ana`"]


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("sinks", {}),
        ("routee_analyst", {}),
        ("ana", {"ana": set[str]()}),
        ("ana", {"ana": {"another_role"}}),
    ],
)
def test_a_user_of_others_is_left_alone(name: str, users: dict[str, set[str]]) -> None:
    server = Server(users)
    with pytest.raises(FatalError, match=f"--analyst-user {name}: .*: choose another one"):
        make_analyst(cast("ClickHouse", server), SETTINGS, name)
    assert server.executed == []


def test_a_missing_right_is_one_line_that_names_it() -> None:
    class Refusing(Server):
        def execute(self, sql: str) -> None:
            del sql
            raise FatalError("ClickHouse says ACCESS_DENIED (497)")

    with pytest.raises(FatalError, match=r"^--analyst-user ana: .*497.*CLICKHOUSE_USER needs ACCESS MANAGEMENT"):
        make_analyst(cast("ClickHouse", Refusing({})), SETTINGS, "ana")


@pytest.mark.parametrize("password", ["", "eleven char"])
def test_a_short_password_is_refused_before_anything_is_done(password: str) -> None:
    settings = SETTINGS.model_copy(update={"clickhouse_analyst_password": SecretStr(password)})
    with pytest.raises(SettingsError, match="at least 12 characters"):
        require_password(settings)


@pytest.mark.parametrize("name", ["", "a-b", "a`b", "1a", "a" * 64, "ana;"])
def test_a_name_has_letters_digits_and_underscores(name: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^'{name}': up to 63 letters, digits and _"):
        user_name(name)
    assert user_name("ana_2") == "ana_2"
