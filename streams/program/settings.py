"""
Settings that mean the same in every program, and the one way in which all of them are read.

Every setting is an environment variable with the name of the field in upper case; `.env` is read when present. A secret
may stand in a file instead, which the variable of its name and `_FILE` names (`secret_files`).
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from streams.contract.erasures import Marks
from streams.program.environment import read_env_file, unknown_settings
from streams.program.secret_files import UnusableSecret, secrets_from_files
from streams.program.weak_keys import weakness

SettingsT = TypeVar("SettingsT", bound="CommonSettings")
ValueT = TypeVar("ValueT")

_ENV_FILE: Final = Path(".env")

RENAMED_SETTINGS: Final = {"SINKS_METRICS_PORT": "SINKS_ADMIN_PORT"}
"""Old names that are still taken, with a warning, and the new ones."""

# All before the last `@`: a password may have any character, and the URL no scheme.
_USER_IN_URL: Final = re.compile(r"((?<=://)|^(?!\w+://)).*@", re.DOTALL)
_NOT_A_NUMBER: Final = {
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_parsing": "a number is needed",
}


ABOUT_SETTINGS: Final = (
    "Settings are environment variables, or lines of .env; NAME_FILE names a file that has the secret setting NAME."
)
"""The sentence on settings in the help of every command."""


class SettingsError(Exception):
    """Settings are wrong. `str()` is one line per problem, each naming the variable and what it needs."""


class CommonSettings(BaseModel):
    """The settings that all programs share: the way to Kafka, the names of topics, the form of log lines."""

    model_config = ConfigDict(frozen=True)

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$",
        json_schema_extra={"form": "host:port, comma-separated"},
        description="Brokers as host:port, comma-separated; any one that answers is enough.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the brokers are spoken to; SASL_… needs the three KAFKA_SASL_… settings."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, validate_default=True, description="How the password is proven."
    )
    kafka_sasl_username: str | None = Field(None, validate_default=True, description="User, with SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, validate_default=True, description="Password, with SASL.")
    kafka_ssl_cafile: str | None = Field(
        None, description="PEM file of the brokers' authorities; the system's if unset."
    )
    kafka_ssl_certfile: str | None = Field(None, description="PEM file of the client's certificate.")
    kafka_ssl_keyfile: str | None = Field(None, description="PEM file of the client's key.")
    kafka_topic_prefix: str = Field(
        "routee.",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
        json_schema_extra={"form": "up to 64 letters, digits and . _ -"},
        description="Stands before every topic's and group's name.",
    )
    kafka_partitions: int = Field(
        8, ge=1, le=1024, description="Partitions of every topic. Changing it later would split messages."
    )
    kafka_replication_factor: int = Field(-1, ge=-1, le=16, description="Of new topics; -1 is the broker's default.")
    erasure_key: SecretStr | None = Field(
        None,
        description="The key of erasures, as secret as the numbers: 32 random bytes (`openssl rand -hex 32`), the same "
        "for streams and sinks. With another key the erasures that were made cannot be kept.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["text", "json"] | None = Field(None, description="Text on a terminal, else JSON, if unset.")

    @field_validator("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _sasl_is_complete(cls, value: ValueT, others: ValidationInfo) -> ValueT:
        protocol = str(others.data.get("kafka_security_protocol"))
        if protocol.startswith("SASL") and value is None:
            raise ValueError(f"it is needed with KAFKA_SECURITY_PROTOCOL={protocol}")
        return value

    @field_validator("erasure_key")
    @classmethod
    def _erasure_key_cannot_be_guessed(cls, key: SecretStr | None) -> SecretStr | None:
        if key and (reason := weakness(key.get_secret_value())):
            raise ValueError(f"{reason}: take the output of `openssl rand -hex 32`")
        return key

    def warnings(self) -> Iterator[str]:
        """Yield a line for each valid setting that does nothing, or protects less than it seems to."""
        protocol = self.kafka_security_protocol
        if not protocol.startswith("SASL") and (unused := self._set_of("kafka_sasl_username", "kafka_sasl_password")):
            yield f"{unused}: not used with KAFKA_SECURITY_PROTOCOL={protocol}, no broker is told"
        files = self._set_of("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile")
        if files and not protocol.endswith("SSL"):
            yield f"{files}: not used with KAFKA_SECURITY_PROTOCOL={protocol}, nothing is encrypted"

    def _set_of(self, *names: str) -> str:
        """Return the variables of those fields that are set, for people."""
        return " and ".join(name.upper() for name in names if getattr(self, name) is not None)

    @property
    def erasure_marks(self) -> Marks | None:
        """Return the marks of recipients under ERASURE_KEY, None when it is not set."""
        return Marks(self.erasure_key.get_secret_value().encode()) if self.erasure_key else None

    @property
    def bootstrap_servers(self) -> list[str]:
        """Return the brokers as `host:port` strings."""
        return self.kafka_bootstrap_servers.split(",")


Look = Callable[[Mapping[str, Any]], Iterable[str]]
"""Looks at the files that settings name; is given the valid settings by name, returns a line per problem."""


def load_settings(
    model: type[SettingsT], *, env_file: Path | None = _ENV_FILE, look: Look | None = None, **given: object
) -> SettingsT:
    """
    Read `.env` and the environment into a settings model; the environment is stronger, and `given` is the strongest.

    An empty variable means the default, also where `.env` says something else. Raises SettingsError with every problem
    at once. The problems that `look` finds are among them, even while values are wrong; values of wrong secrets are
    not repeated.
    """
    variables = _variables(env_file)
    told = {**_told(model, variables), **given}
    try:
        return model.model_validate(told)
    except ValidationError as error:
        named = _valid(model, error, told)
        found = look(named) if look else ()
        raise SettingsError("\n".join([*_problems(model, error), *found, *unknown_settings(variables)])) from None


def secret_settings(model: type[CommonSettings]) -> list[str]:
    """Return the variables of a model that are secrets; each may be read from a file."""
    return [name.upper() for name, field in model.model_fields.items() if _is_secret(field)]


def setting_warnings(settings: CommonSettings) -> Iterator[str]:
    """Yield a line for each misspelt or old name, and for each valid setting that deserves one."""
    yield from unknown_settings(_variables(_ENV_FILE))
    for old in RENAMED_SETTINGS.keys() & _written(_ENV_FILE):
        yield f"{old} is now {RENAMED_SETTINGS[old]}: the old name is taken while the new one is not set"
    yield from settings.warnings()


def _variables(env_file: Path | None) -> dict[str, str | None]:
    """Return all variables by their names in upper case, an old name under the new one if that is not set."""
    told = _written(env_file)
    for old, new in RENAMED_SETTINGS.items():
        value = told.pop(old, None)
        if value and not told.get(new):
            told[new] = value
    return told


def _written(env_file: Path | None) -> dict[str, str | None]:
    """Return all variables by their names in upper case."""
    try:
        written = read_env_file(env_file) if env_file else {}
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return {name.upper(): value for variables in (written, os.environ) for name, value in variables.items()}


def _told(model: type[CommonSettings], variables: Mapping[str, str | None]) -> dict[str, str | UnusableSecret]:
    """Return the settings that variables and files tell, by the names of their fields."""
    told: dict[str, str | UnusableSecret] = {
        name: value for name in model.model_fields if (value := variables.get(name.upper()))
    }
    for name, secret in secrets_from_files(secret_settings(model), variables):
        told[name.lower()] = secret
    return told


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def _valid(model: type[CommonSettings], error: ValidationError, told: Mapping[str, object]) -> dict[str, Any]:
    """Return the settings that are not among the problems, as they were told, or their defaults."""
    wrong = {problem["loc"][0] for problem in error.errors() if problem["loc"]}
    fields = {name: field.default for name, field in model.model_fields.items()}
    return {name: told.get(name, default) for name, default in fields.items() if name not in wrong}


def _problems(model: type[CommonSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False):
        if not problem["loc"]:
            yield problem["msg"].removeprefix("Value error, ")
            continue
        if isinstance(problem["input"], UnusableSecret):
            yield problem["input"].line
            continue
        name = str(problem["loc"][0])
        field = model.model_fields.get(name)
        message = _message(problem["type"], problem["msg"], field)
        secret = field is not None and (_is_secret(field) or "secret" in name)
        told = not secret and problem["type"] != "missing" and problem["input"] is not None
        value = f"={_USER_IN_URL.sub('***@', str(problem['input']))}" if told else ""
        yield f"{name.upper()}{value}: {_as_rest_of_line(message)}"


def _as_rest_of_line(message: str) -> str:
    """Return a sentence with a small first letter, unless it begins with the name of a setting."""
    return message if message[1:2].isupper() else f"{message[:1].lower()}{message[1:]}"


def _message(kind: str, message: str, field: FieldInfo | None) -> str:
    """Return pydantic's message, or plainer words where it quotes a regular expression."""
    extra = field.json_schema_extra if field else None
    if kind == "string_pattern_mismatch" and isinstance(extra, dict):
        return f"{extra['form']} is expected"
    return _NOT_A_NUMBER.get(kind, message.removeprefix("Value error, "))
