"""
Settings of `routee-streams`. Every one is an environment variable with the field's name in upper case.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from streams.contract.permissions import Permission, webhook
from streams.domain.alarms.notice import secret_bytes
from streams.domain.alarms.thresholds import parse_thresholds
from streams.domain.policy import LEAST_RETENTION_HOURS, MOST_CELLS, Policy
from streams.program.listening import Endpoint
from streams.program.settings import CommonSettings
from streams.program.tokens import TOKEN
from streams.program.weak_keys import weakness
from streams.readers import Readers, parse_readers

# Phone numbers are few: with a key that can be guessed, every number can be found from its hash.
_KEY_CHARACTERS: Final = 16
_ADDRESS: Final = re.compile(r"https?://[^\s/]+(/\S*)?")


class StreamsSettings(CommonSettings):
    """The settings that `routee-streams` reads from its environment, besides the common ones."""

    streams_admin_host: str = Field(
        "127.0.0.1", description="Address of /livez, /readyz and /metrics, which need no token."
    )
    streams_admin_port: int = Field(9103, ge=1, le=65535, description="Port of /livez, /readyz and /metrics.")
    streams_web_bind: str = Field(
        "127.0.0.1", description="Address of the read API; another one than loopback needs the tokens."
    )
    streams_web_port: int = Field(6066, ge=1, le=65535, description="The read API listens here.")
    streams_read_tokens: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated `name:token:full` or `name:token:masked`: the readers, with numbers and texts or "
        "without; several for rotation. Empty: every client that reaches the address reads all.",
    )
    streams_worker_token: SecretStr | None = Field(
        None, description="Workers ask each other with it, for answers from their partitions; the same for all workers."
    )
    streams_web_host: str | None = Field(
        None,
        min_length=1,
        description="The name by which other workers reach this one, to answer for its partitions; the host's name, "
        "or with STREAMS_WEB_BIND on loopback that address.",
    )
    streams_instance_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        json_schema_extra={"form": "1 to 249 letters, digits and . _ -"},
        description="A name that no other worker has makes it a static member: started again within its session (6 s) "
        "it goes on with its partitions, and the others never stop. Without, the others take them over.",
    )
    streams_data_dir: Path = Field(
        Path("data/streams"),
        description="Local state, one folder per worker. May be deleted while no worker runs: Kafka has it all.",
    )
    streams_store: Literal["rocksdict", "memory"] = Field(
        "rocksdict", description="Where rows live; `memory` reads the whole changelog again at every start."
    )
    streams_standby: Literal["off", "on"] = Field(
        "off",
        description="`on` keeps the rows of each partition at a second worker, too, which goes on with them at once "
        "when the first one ends. Each row is then on two disks.",
    )
    streams_flush_ms: int = Field(
        100, ge=5, le=10_000, description="Checkpoint interval: shorter is fresher, longer is cheaper."
    )
    streams_state_retention_hours: int = Field(
        192,
        ge=LEAST_RETENTION_HOURS,
        description="An SMS is forgotten this long after its last callback; Routee retries for up to 40 h. Raising it "
        "counts nothing twice: callbacks from before stay refused.",
    )
    streams_expired_source: Literal["refuse", "skip"] = Field(
        "refuse",
        description="When callbacks expired in Kafka before they were read: do not work, or go on without them.",
    )
    streams_progress_ms: int = Field(
        1000, ge=0, description="At most one progress record per campaign in this time; the last state always comes."
    )
    streams_delivery_ms: int = Field(
        5000, ge=0, description="At most one record per cell of deliveries in this time; the last state always comes."
    )
    streams_delivery_cells: int = Field(
        MOST_CELLS,
        ge=10,
        description="Cells of one window of 5 minutes and one partition, at most; beyond it `other` stands for labels, "
        "then senders, then operators.",
    )
    streams_recipient: Literal["keep", "mask", "hmac", "drop"] = Field(
        "keep", description="Phone numbers on the topics: as they are, last 3 digits, keyed hash, or none."
    )
    streams_message_text: Literal["keep", "drop"] = Field(
        "keep", description="Message texts on the topics; texts of TwoStep messages are always dropped."
    )
    streams_mask_texts: Literal["off", "on"] = Field(
        "off",
        description="`on` masks each run of 7 digits or more, also with gaps, in message texts, labels and names of "
        "campaigns: customers put numbers there.",
    )
    streams_hmac_key: SecretStr | None = Field(
        None,
        validate_default=True,
        description="The key of `hmac`, as secret as the numbers: 32 random bytes (`openssl rand -hex 32`). With "
        "another key the same number gets another hash.",
    )
    streams_conflicting_finals: Literal["latest", "first"] = Field(
        "latest", description="Which of two different final statuses of one SMS stays, by Routee's own times."
    )

    streams_alarm_thresholds: str = Field(
        "",
        description='JSON: `[["GR","Cosmote",25]]`, the deviance of `delivery-drop` for routes that need another one '
        "than that of the rule (22, for large routes up to 28): more is quieter and later.",
    )
    streams_alarm_webhook: SecretStr | None = Field(
        None, description="https:// address that is told of each alarm that opens or closes, with JSON, signed."
    )
    streams_alarm_webhook_secret: SecretStr | None = Field(
        None,
        validate_default=True,
        description="Signs the notices: `whsec_` and 24 to 64 random bytes in base64, as Standard Webhooks have it.",
    )

    @field_validator("streams_alarm_thresholds")
    @classmethod
    def _thresholds_have_their_form(cls, text: str) -> str:
        parse_thresholds(text)
        return text

    @field_validator("streams_alarm_webhook")
    @classmethod
    def _webhook_is_an_address(cls, address: SecretStr | None) -> SecretStr | None:
        if address and not _ADDRESS.fullmatch(address.get_secret_value()):
            raise ValueError("an address that begins with https:// or http:// is expected")
        try:
            (urlsplit(address.get_secret_value() if address else "").hostname or "").encode("idna")
        except ValueError:
            raise ValueError("the name of its host cannot be one") from None
        return address

    @field_validator("streams_alarm_webhook_secret")
    @classmethod
    def _webhook_has_a_secret(cls, secret: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if secret:
            secret_bytes(secret.get_secret_value())
        elif others.data.get("streams_alarm_webhook"):
            raise ValueError("it is needed with STREAMS_ALARM_WEBHOOK")
        return secret

    @field_validator("streams_hmac_key")
    @classmethod
    def _hmac_has_a_key(cls, key: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if others.data.get("streams_recipient") == "hmac" and not (key and key.get_secret_value()):
            raise ValueError("it is needed with STREAMS_RECIPIENT=hmac")
        if key and len(key.get_secret_value()) < _KEY_CHARACTERS:
            raise ValueError(f"at least {_KEY_CHARACTERS} characters are needed")
        return key

    @field_validator("streams_read_tokens")
    @classmethod
    def _readers_have_their_form(cls, tokens: SecretStr) -> SecretStr:
        parse_readers(tokens.get_secret_value())
        return tokens

    @field_validator("streams_worker_token")
    @classmethod
    def _worker_token_has_its_form(cls, token: SecretStr | None) -> SecretStr | None:
        if token and not TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("16 to 128 letters, digits and . _ ~ - are expected")
        return token

    @property
    def readers(self) -> Readers:
        """Return the readers."""
        worker = self.streams_worker_token
        return Readers(
            parse_readers(self.streams_read_tokens.get_secret_value()), worker.get_secret_value() if worker else ""
        )

    @property
    def admin_endpoint(self) -> Endpoint:
        """Return where the pages are."""
        return Endpoint("STREAMS_ADMIN", self.streams_admin_host, self.streams_admin_port)

    @property
    def web_endpoint(self) -> Endpoint:
        """Return where the read API is."""
        return Endpoint("STREAMS_WEB", self.streams_web_bind, self.streams_web_port, host_name="STREAMS_WEB_BIND")

    def warnings(self) -> Iterator[str]:
        """Yield a line for a key that may be guessed, too: pseudonyms rest on it, so it is not refused."""
        yield from super().warnings()
        if self.streams_hmac_key and (reason := weakness(self.streams_hmac_key.get_secret_value())):
            yield (
                f"STREAMS_HMAC_KEY: {reason}. A guessed key gives every number away. Before the first use take "
                "the output of `openssl rand -hex 32`; a key in use stays, or the same number gets another hash"
            )

    @property
    def policy(self) -> Policy:
        """Return what the rules let be settled."""
        key = self.streams_hmac_key
        return Policy(
            conflicting_finals=self.streams_conflicting_finals,
            retention_hours=self.streams_state_retention_hours,
            recipient=self.streams_recipient,
            hmac_key=key.get_secret_value() if key else "",
            message_text=self.streams_message_text,
            delivery_cells=self.streams_delivery_cells,
            mask_texts=self.streams_mask_texts == "on",
        )

    @property
    def more_permissions(self) -> tuple[Permission, ...]:
        """Return the permissions that a worker with these settings needs beside those of every worker."""
        return webhook(self.kafka_topic_prefix) if self.streams_alarm_webhook else ()

    @property
    def group_id(self) -> str:
        """Return the consumer group, which is also the beginning of the changelogs' names."""
        return f"{self.kafka_topic_prefix}streams"
