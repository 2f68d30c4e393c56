"""
The settings of `routee-console`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from console.places import parse_places
from console.safety.people import People, parse_people
from console.safety.proxies import Proxies, parse_networks
from streams.program.listening import Endpoint, is_loopback
from streams.program.settings import CommonSettings

_URL: Final = r"^https?://[^\s/@:]+(:\d{1,5})?(/[^\s?#]*)?$"
_HEADER: Final = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"


class ConsoleSettings(CommonSettings):
    """The environment variables of `routee-console`, besides the common ones of Kafka and logging."""

    console_host: str = Field(
        "127.0.0.1", description="Address of the pages; another one than loopback needs CONSOLE_TOKENS or a proxy."
    )
    console_port: int = Field(8090, ge=0, le=65535, description="Port of the pages; 0 takes a free one and logs it.")
    console_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/@:]+(:\d{1,5})?$",
        json_schema_extra={"form": "http(s)://host[:port]"},
        description="The address by which people reach the pages; with https cookies never travel in the clear. "
        "Requests for another host are refused, also through a name that points at loopback.",
    )
    console_tokens: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated `name:token:full` or `name:token:masked`: the people, who may look at numbers and "
        "texts or not. Empty: on loopback there is no login.",
    )
    console_proxy_header: str | None = Field(
        None,
        pattern=_HEADER,
        json_schema_extra={"form": "the name of a header"},
        description="Header in which a trusted proxy names the person, for example X-Forwarded-User; in place of the "
        "login form.",
    )
    console_proxy_networks: str = Field(
        "127.0.0.1/32",
        description="Addresses of trusted proxies, comma-separated; from any other the header counts for nothing.",
    )
    console_proxy_full: str = Field(
        "", description="Names, comma-separated, who may look at numbers and texts when the proxy names them."
    )
    console_time_zone: str = Field(
        "UTC", description="Zone of every time on the pages, which name it; for example Europe/Athens."
    )
    console_clickhouse_user: str = Field("default", description="User of ClickHouse; one who only reads will do.")
    console_clickhouse_password: SecretStr = Field(SecretStr(""), description="Its password.")
    console_query_seconds: float = Field(
        5.0, gt=0, le=60, description="A query that takes longer is stopped, and the page says so."
    )
    console_read_api: str = Field(
        "http://127.0.0.1:6066",
        pattern=_URL,
        json_schema_extra={"form": "http(s)://host:port"},
        description="Address of the read API of streams.",
    )
    console_read_token: SecretStr = Field(
        SecretStr(""), description="Its token, one of STREAMS_READ_TOKENS; empty where it needs none."
    )
    console_programs: str = Field(
        "",
        description="Comma-separated `name=http://host:port` of the pages for operators of the other programs, which "
        "Health shows: ingest, streams, sinks-clickhouse, sinks-files, backfill. A host of several addresses is as "
        "many processes.",
    )
    console_admin_host: str = Field(
        "127.0.0.1", description="Address of /livez, /readyz and /metrics, which need no token."
    )
    console_admin_port: int = Field(
        9106, ge=0, le=65535, description="Port of /livez, /readyz and /metrics; 0 takes a free one and logs it."
    )
    clickhouse_url: str = Field(
        "http://127.0.0.1:8123",
        pattern=_URL,
        json_schema_extra={"form": "http(s)://host:port"},
        description="Address of ClickHouse's HTTP interface; user and password have settings of their own.",
    )
    clickhouse_database: str = Field(
        "routee",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
        json_schema_extra={"form": "up to 63 letters, digits and _"},
        description="Database; `routee-sinks schema` creates it.",
    )

    @field_validator("console_tokens")
    @classmethod
    def _tokens_have_their_form(cls, tokens: SecretStr) -> SecretStr:
        parse_people(tokens.get_secret_value())
        return tokens

    @field_validator("console_proxy_networks")
    @classmethod
    def _networks_are_some(cls, networks: str) -> str:
        parse_networks(networks)
        return networks

    @field_validator("console_programs")
    @classmethod
    def _programs_have_their_form(cls, programs: str) -> str:
        parse_places(programs)
        return programs

    @field_validator("console_time_zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, OSError, ValueError):  # no such zone, or a file that is none
            raise ValueError("it is no time zone of this machine; a name such as Europe/Athens is expected") from None
        return zone

    @field_validator("console_proxy_full")
    @classmethod
    def _names_need_a_header(cls, names: str, others: ValidationInfo) -> str:
        if names.strip() and others.data.get("console_proxy_header", "") is None:
            raise ValueError("it is used with CONSOLE_PROXY_HEADER only, which is not set")
        return names

    @property
    def people(self) -> People:
        """Return the people with a token."""
        return People(parse_people(self.console_tokens.get_secret_value()))

    @property
    def proxies(self) -> Proxies | None:
        """Return the trusted proxies; None when no header is set."""
        if self.console_proxy_header is None:
            return None
        full = frozenset(filter(None, map(str.strip, self.console_proxy_full.split(","))))
        return Proxies(self.console_proxy_header, parse_networks(self.console_proxy_networks), full)

    @property
    def endpoint(self) -> Endpoint:
        """Return where the pages are."""
        return Endpoint("CONSOLE", self.console_host, self.console_port)

    @property
    def admin_endpoint(self) -> Endpoint:
        """Return where /livez, /readyz and /metrics are."""
        return Endpoint("CONSOLE_ADMIN", self.console_admin_host, self.console_admin_port)

    @property
    def host(self) -> str | None:
        """Return the name by which people reach the pages, None when it is loopback's."""
        return urlsplit(self.console_url).hostname if self.console_url else None

    @property
    def is_https(self) -> bool:
        """Return whether people reach the pages over TLS, which a proxy before it speaks."""
        return bool(self.console_url) and str(self.console_url).startswith("https:")

    def warnings(self) -> Iterator[str]:
        """Yield a line for each setting that protects less than it seems to, too."""
        yield from super().warnings()
        if not is_loopback(self.console_host) and not self.is_https:
            yield (
                f"CONSOLE_HOST={self.console_host} without an https CONSOLE_URL: tokens and numbers cross the network "
                "in the clear; put a proxy that speaks TLS before it"
            )


def access_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line when strangers would see the pages; `named` has the settings that are valid, by name."""
    host = str(named.get("console_host", "127.0.0.1"))
    tokens = named.get("console_tokens", "set")
    text = tokens.get_secret_value() if isinstance(tokens, SecretStr) else str(tokens or "")
    if not is_loopback(host) and not text and not named.get("console_proxy_header", "set"):
        yield (
            f"CONSOLE_TOKENS or CONSOLE_PROXY_HEADER: one is needed with CONSOLE_HOST={host}: strangers would see the "
            "pages"
        )
    if not is_loopback(host) and not named.get("console_url", "set"):
        yield f"CONSOLE_URL: it is needed with CONSOLE_HOST={host}: it names the host that browsers may ask for"
