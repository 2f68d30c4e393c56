"""
The settings of ingest: each field is the environment variable of its name in upper case.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from ingest.breadth import wide_networks
from streams.program.listening import is_loopback
from streams.program.settings import CommonSettings

# Unreserved in RFC 3986: such a secret has one spelling in a URL, so it is compared without decoding.
_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SHORTEST_SECRET: Final = 16
"""A shorter secret can be guessed, and occurs in texts by chance."""

_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?")


class IngestSettings(CommonSettings):
    """The settings of `routee-ingest`; validated whole, all problems at once."""

    ingest_host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - callbacks come from outside
    ingest_port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    ingest_admin_host: str = Field("127.0.0.1", description="address of /livez, /readyz and /metrics")
    ingest_admin_port: int = Field(9101, ge=0, le=65535, description="their port; 0 takes a free one and logs it")
    ingest_open: Literal["yes", "no"] = Field(
        "no", description="yes: a host that is not loopback needs no secret, and without one every client may post"
    )
    ingest_secrets: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        description="comma-separated secrets, one of which must end the callback URL; two at once for rotation",
    )
    ingest_allowed_networks: str = Field(
        "", description="comma-separated CIDRs and host names that may post callbacks; empty allows every address"
    )
    ingest_trusted_proxies: str = Field(
        "", description="comma-separated CIDRs of the proxies whose X-Forwarded-For is believed"
    )
    ingest_max_body_bytes: int = Field(
        262_144, ge=1, le=600_000, description="longest body taken; above it a record could outgrow Kafka's 1 MB"
    )
    ingest_flush_ms: int = Field(
        5, ge=0, le=500, description="longest wait of a callback for others; less when Kafka is quick"
    )
    ingest_ack_timeout_ms: int = Field(
        1500, ge=50, le=1800, description="no acknowledgement by then: 503. Routee hangs up after 2 s"
    )
    ingest_max_pending_bytes: int = Field(
        67_108_864, ge=1, description="bytes taken and not yet acknowledged; beyond it 503 at once. Bounds memory"
    )
    ingest_max_connections: int = Field(
        8192, ge=1, le=1_000_000, description="connections of one worker; beyond it the most silent one is closed"
    )
    ingest_max_connections_per_address: int = Field(
        2048, ge=1, le=1_000_000, description="connections of one worker with one address that is no trusted proxy"
    )
    ingest_workers: int = Field(1, ge=1, le=64, description="server processes that share the port: one per core")
    ingest_tls_cert: str | None = Field(None, description="PEM file with the certificate chain; needs INGEST_TLS_KEY")
    ingest_tls_key: str | None = Field(None, validate_default=True, description="PEM file with its private key")
    ingest_access_log: float = Field(
        0.0, ge=0.0, le=1.0, description="share of the requests that are logged: 0 none, 0.01 one of a hundred, 1 all"
    )

    @field_validator("ingest_secrets")
    @classmethod
    def _secrets_need_no_encoding(cls, value: SecretStr) -> SecretStr:
        for secret in _split(value.get_secret_value()):
            if not _SECRET.fullmatch(secret):
                raise ValueError("a secret has 1 to 128 characters, each a letter, a digit or one of . _ ~ -")
        return value

    @field_validator("ingest_secrets")
    @classmethod
    def _secrets_keep_strangers_out(cls, value: SecretStr, others: ValidationInfo) -> SecretStr:
        fault = _fault_of(_split(value.get_secret_value()))
        host, is_open = others.data.get("ingest_host"), others.data.get("ingest_open")
        if fault is None or is_open != "no" or host is None or is_loopback(host):
            return value
        raise ValueError(
            f"{fault}, and INGEST_HOST={host} is not loopback: set one made by `openssl rand -hex 24`, "
            "or INGEST_OPEN=yes to do without"
        )

    @field_validator("ingest_allowed_networks")
    @classmethod
    def _allowed_are_networks_or_names(cls, value: str) -> str:
        for entry in _split(value):
            if not is_network(entry) and not _HOST_NAME.fullmatch(entry):
                raise ValueError(f"{entry!r} is neither a network such as 192.0.2.0/24 nor a host name")
        return value

    @field_validator("ingest_trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, value: str) -> str:
        for entry in _split(value):
            if not is_network(entry):
                raise ValueError(f"{entry!r} is not a network such as 192.0.2.0/24")
        if wide := wide_networks(_split(value)):
            raise ValueError(
                f"{', '.join(wide)} is as wide as the internet: everyone there could forge X-Forwarded-For. "
                "Name the addresses of the proxies"
            )
        return value

    @field_validator("ingest_tls_key")
    @classmethod
    def _tls_is_complete(cls, key: str | None, others: ValidationInfo) -> str | None:
        if (others.data.get("ingest_tls_cert") is None) != (key is None):
            raise ValueError("set both: INGEST_TLS_CERT and INGEST_TLS_KEY are needed together")
        return key

    def warnings(self) -> Iterator[str]:
        """Yield a line, too, for networks that keep no stranger out, and for a secret that keeps ingest closed."""
        yield from super().warnings()
        if self.ingest_open == "yes" and self.secrets:
            yield "INGEST_OPEN=yes opens nothing while INGEST_SECRETS is set: one of them must end the URL all the same"
        if wide := wide_networks(entry for entry in self.allowed_networks if is_network(entry)):
            yield f"INGEST_ALLOWED_NETWORKS: {', '.join(wide)} is as wide as the internet, so it keeps no stranger out"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the path secrets; none means that the URL is open."""
        return tuple(_split(self.ingest_secrets.get_secret_value()))

    @property
    def allowed_networks(self) -> tuple[str, ...]:
        """Return the CIDRs and host names that may post; none means every address."""
        return tuple(_split(self.ingest_allowed_networks))

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Return the CIDRs whose X-Forwarded-For is believed."""
        return tuple(_split(self.ingest_trusted_proxies))


def is_network(entry: str) -> bool:
    """Return whether an entry is an address or a CIDR (anything else that passed the settings is a host name)."""
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


def _fault_of(secrets: list[str]) -> str | None:
    """Return why the secrets keep no stranger out, None when they do."""
    if not secrets:
        return "no secret is set"
    shortest = min(map(len, secrets))
    return f"a secret has fewer than {_SHORTEST_SECRET} characters" if shortest < _SHORTEST_SECRET else None


def _split(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
