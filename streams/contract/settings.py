"""
Settings that mean the same in every program, and the one way in which all of them are read.

Every setting is an environment variable with the name of the field in upper case; `.env` is read when present.
"""

from collections.abc import Iterator
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class SettingsError(Exception):
    """Settings are wrong. `str()` is one line per problem, each naming the variable and what it needs."""


class CommonSettings(BaseSettings):
    """What all programs share: how Kafka is reached, how topics are named, how lines are logged."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, env_ignore_empty=True
    )

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: str | None = None
    kafka_ssl_certfile: str | None = None
    kafka_ssl_keyfile: str | None = None
    kafka_topic_prefix: str = Field("routee.", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    kafka_partitions: int = Field(8, ge=1, le=1024)
    kafka_replication_factor: int = Field(-1, ge=-1, le=16)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] | None = None

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
        value = "" if secret or problem["type"] == "missing" else f"={problem['input']}"
        yield f"{name.upper()}{value}: {message[:1].lower()}{message[1:]}"
