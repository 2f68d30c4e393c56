"""
The settings of `routee-ingest backfill`: each field is the environment variable of its name in upper case.
"""

from collections.abc import Iterator
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, SecretStr, field_validator

from streams.program.listening import Endpoint, is_loopback
from streams.program.settings import CommonSettings

ValueT = TypeVar("ValueT")

WINDOW_HOURS: Final = 7 * 24
"""Routee tells of SMS for so long."""

_URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$"
_FORM: Final[dict[str, JsonValue]] = {"form": "a URL such as https://connect.routee.net"}


class BackfillSettings(CommonSettings):
    """The settings of the backfill; validated whole, all problems at once."""

    routee_application_id: str | None = Field(
        None,
        validate_default=True,
        description="id of the application at Routee that asks; a token of it sees the whole account",
    )
    routee_application_secret: SecretStr | None = Field(
        None, validate_default=True, description="the secret of that application"
    )
    routee_api_url: str = Field(
        "https://connect.routee.net", pattern=_URL, json_schema_extra=_FORM, description="Routee's API"
    )
    routee_auth_url: str = Field(
        "https://auth.routee.net", pattern=_URL, json_schema_extra=_FORM, description="where Routee gives tokens"
    )
    backfill_requests_per_second: float = Field(
        2.0, gt=0, le=100, description="the most requests to Routee in a second, those of all kinds together"
    )
    backfill_grace_seconds: int = Field(
        3600, ge=0, le=86_400, description="an SMS or campaign is asked for when nothing came for so long"
    )
    backfill_admin_host: str = Field("127.0.0.1", description="address of /livez, /readyz and /metrics, with --watch")
    backfill_admin_port: int = Field(9105, ge=0, le=65535, description="their port; 0 takes a free one and logs it")
    streams_state_retention_hours: int = Field(
        192, ge=48, description="as streams has it: of an SMS that streams has forgotten nothing is asked"
    )
    streams_conflicting_finals: Literal["latest", "first"] = Field(
        "latest", description="as streams has it: of two finals that differ, the one that streams drops is not stored"
    )

    @field_validator("routee_application_id", "routee_application_secret")
    @classmethod
    def _application_is_named(cls, value: ValueT) -> ValueT:
        if value is None:
            raise ValueError("it is needed: an application of your account at Routee, and its secret")
        return value

    @property
    def endpoint(self) -> Endpoint:
        """Return where the pages are."""
        return Endpoint("BACKFILL_ADMIN", self.backfill_admin_host, self.backfill_admin_port)

    @property
    def credentials(self) -> str:
        """Return `id:secret`, for the request for a token."""
        secret = self.routee_application_secret
        return f"{self.routee_application_id}:{secret.get_secret_value() if secret else ''}"

    @property
    def window_seconds(self) -> float:
        """Return how far back Routee is asked: its window, or the memory of streams when that is shorter."""
        return 3600.0 * min(WINDOW_HOURS, self.streams_state_retention_hours)

    @property
    def api_url(self) -> str:
        """Return the base of all requests but those for tokens."""
        return self.routee_api_url.rstrip("/")

    @property
    def auth_url(self) -> str:
        """Return the base of the requests for tokens."""
        return self.routee_auth_url.rstrip("/")

    def warnings(self) -> Iterator[str]:
        """Yield a line for a window that is shorter than Routee's, and for each URL without TLS, too."""
        yield from super().warnings()
        for name in ("routee_auth_url", "routee_api_url"):
            url = urlsplit(getattr(self, name))
            if url.scheme == "http" and not is_loopback(url.hostname or ""):
                yield f"{name.upper()}={url.geturl()}: without TLS others may read the secret, numbers and texts"
        if self.streams_state_retention_hours < WINDOW_HOURS:
            yield (
                f"STREAMS_STATE_RETENTION_HOURS={self.streams_state_retention_hours}: Routee is asked for SMS of so "
                f"many hours only, not of {WINDOW_HOURS}, because streams has forgotten older ones"
            )
