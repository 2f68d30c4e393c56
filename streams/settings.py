"""
Settings of `routee-streams`. Every one is an environment variable with the field's name in upper case.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from streams.program.settings import CommonSettings

# Phone numbers are few: with a key that can be guessed, every number can be found from its hash.
_KEY_CHARACTERS: Final = 16
_KEY_BYTES: Final = 32
# Of 64 random hexadecimal digits at least 10 differ, but for one key in a trillion.
_KEY_DIFFERENT: Final = 10
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+")


class StreamsSettings(CommonSettings):
    """The settings that `routee-streams` reads from its environment, besides the common ones."""

    streams_web_port: int = Field(6066, ge=1, le=65535, description="Health, metrics and read API listen here.")
    streams_web_host: str | None = Field(
        None,
        min_length=1,
        description="The name by which other workers reach this one, to answer for its partitions; the host's name.",
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
        96, ge=48, description="An SMS is forgotten this long after its last callback; Routee retries for up to 40 h."
    )
    streams_expired_source: Literal["refuse", "skip"] = Field(
        "refuse",
        description="When callbacks expired in Kafka before they were read: do not work, or go on without them.",
    )
    streams_progress_ms: int = Field(
        1000, ge=0, description="At most one progress record per campaign in this time; the last state always comes."
    )
    streams_recipient: Literal["keep", "mask", "hmac", "drop"] = Field(
        "keep", description="Phone numbers on the topics: as they are, last 3 digits, keyed hash, or none."
    )
    streams_message_text: Literal["keep", "drop"] = Field(
        "keep", description="Message texts on the topics; texts of TwoStep messages are always dropped."
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

    @field_validator("streams_hmac_key")
    @classmethod
    def _hmac_has_a_key(cls, key: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if others.data.get("streams_recipient") == "hmac" and not (key and key.get_secret_value()):
            raise ValueError("it is needed with STREAMS_RECIPIENT=hmac")
        if key and len(key.get_secret_value()) < _KEY_CHARACTERS:
            raise ValueError(f"at least {_KEY_CHARACTERS} characters are needed")
        return key

    def warnings(self) -> Iterator[str]:
        """Yield a line for a key that may be guessed, too: pseudonyms rest on it, so it is not refused."""
        yield from super().warnings()
        if self.streams_hmac_key and (reason := _weakness(self.streams_hmac_key.get_secret_value())):
            yield (
                f"STREAMS_HMAC_KEY: {reason}. A guessed key gives every number away. Before the first use take "
                "the output of `openssl rand -hex 32`; a key in use stays, or the same number gets another hash"
            )

    @property
    def group_id(self) -> str:
        """Return the consumer group, which is also the beginning of the changelogs' names."""
        return f"{self.kafka_topic_prefix}streams"


def _weakness(key: str) -> str | None:
    """Return why a key may be guessed, as far as its form tells."""
    text = key.rstrip("=")
    room = len(text) // 2 if _HEXADECIMAL.fullmatch(text) else len(text) * 3 // 4  # as base64 has
    if room < _KEY_BYTES:
        return f"a key of its form has {room} random bytes at most, {_KEY_BYTES} are needed"
    if len(set(key)) < _KEY_DIFFERENT:
        return f"it has only {len(set(key))} different characters"
    return None
