"""
Settings that mean the same in every program, and the one way in which all of them are read.

Every setting is an environment variable with the name of the field in upper case; `.env` is read when present.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

_USER_IN_URL = re.compile(r"//[^/]*@")


class SettingsError(Exception):
    """Settings are wrong. `str()` is one line per problem, each naming the variable and what it needs."""


class CommonSettings(BaseSettings):
    """What all programs share: how Kafka is reached, how topics are named, how lines are logged."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, env_ignore_empty=True
    )

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$",
        description="Brokers as host:port, comma-separated; any one that answers is enough.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the brokers are spoken to; SASL_… needs the three KAFKA_SASL_… settings."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How the password is proven."
    )
    kafka_sasl_username: str | None = Field(None, description="User, with SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Password, with SASL.")
    kafka_ssl_cafile: str | None = Field(
        None, description="PEM file of the brokers' authorities; the system's if unset."
    )
    kafka_ssl_certfile: str | None = Field(None, description="PEM file of the client's certificate.")
    kafka_ssl_keyfile: str | None = Field(None, description="PEM file of the client's key.")
    kafka_topic_prefix: str = Field(
        "routee.", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Stands before every topic's and group's name."
    )
    kafka_partitions: int = Field(
        8, ge=1, le=1024, description="Partitions of every topic. Changing it later would split messages."
    )
    kafka_replication_factor: int = Field(-1, ge=-1, le=16, description="Of new topics; -1 is the broker's default.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["text", "json"] | None = Field(None, description="Text on a terminal, else JSON, if unset.")

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> "CommonSettings":
        needed = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
        if self.kafka_security_protocol.startswith("SASL"):
            for name in needed:
                if getattr(self, name) is None:
                    raise ValueError(
                        f"{name.upper()} is needed with KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}"
                    )
        return self

    @property
    def bootstrap_servers(self) -> list[str]:
        """Return the brokers as `host:port` strings."""
        return self.kafka_bootstrap_servers.split(",")


def load_settings(model: type[SettingsT], **given: Any) -> SettingsT:  # noqa: ANN401 - as pydantic takes them
    """
    Read the environment (and `.env`) into a settings model.

    Raises SettingsError with every problem at once. The values of wrong secrets are not repeated.
    """
    try:
        return model(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_problems(model, error))) from None
    except UnreadableSettings as error:
        raise SettingsError(str(error)) from None


def _problems(model: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            yield message
            continue
        name = str(problem["loc"][0])
        field = model.model_fields.get(name)
        secret = field is not None and ("Secret" in str(field.annotation) or "secret" in name)
        value = (
            "" if secret or problem["type"] == "missing" else f"={_USER_IN_URL.sub('//***@', str(problem['input']))}"
        )
        yield f"{name.upper()}{value}: {message[:1].lower()}{message[1:]}"
