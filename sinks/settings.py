"""
The settings of `routee-sinks`.
"""

from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from sinks.batch import Limits
from sinks.tables import FILE_TABLE_OF, TABLE_OF
from streams.contract.topics import Topic
from streams.program.objects import BUCKET_FORM, is_address, is_bucket
from streams.program.settings import CommonSettings

# Large inserts spare ClickHouse merges. A batch of files is in memory twice: as records, and as columns.
_BATCH_BYTES: Final = {"clickhouse": 64 << 20, "files": 32 << 20}


def _days(default: int, rows: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    return Field(default, ge=0, le=36_500, description=f"Days for which {rows} are kept; 0: for ever.")


def _split(listed: str) -> list[str]:
    return [name for one in listed.split(",") if (name := one.strip())]


def files_root(told: Path | str) -> Path | str:
    """Return the address of a bucket as it is, and any other text as a path."""
    return told if isinstance(told, str) and is_address(told) else Path(told)


class Shards(NamedTuple):
    """A cluster whose shards have the rows together."""

    cluster: str
    database: str
    """The database that sinks insert into and people query; it keeps no rows."""
    tables: str
    """The database that keeps the rows of a shard, of the same name on each."""


class SinksSettings(CommonSettings):
    """The environment variables of `routee-sinks`, besides the common ones of Kafka and logging."""

    sinks_admin_host: str = Field(
        "127.0.0.1", description="Address of /livez, /readyz and /metrics; another one than loopback is open to all."
    )
    sinks_admin_port: int = Field(
        9102, ge=0, le=65535, description="Port of /livez, /readyz and /metrics; 0 takes a free one and logs it."
    )
    sinks_batch_rows: int = Field(
        20_000, ge=1, le=1_000_000, description="Rows after which a batch is written; more when the store is behind."
    )
    sinks_batch_seconds: float = Field(
        1.0, gt=0, le=3600, description="Age at which a batch is written; with files, how often a new file appears."
    )
    sinks_batch_bytes: int | None = Field(
        None,
        ge=1024,
        le=1 << 30,
        description="Bytes after which a batch takes no more; bounds the memory. 64 MiB for ClickHouse, 32 for files.",
    )
    sinks_max_rejected_per_minute: int = Field(
        1_000, ge=0, description="More refused rows than this in a minute end the program: then it is not the rows."
    )
    sinks_refused_bodies: Literal["redacted", "keep"] = Field(
        "redacted",
        description="Refused bodies: without numbers and texts, as far as streams has not applied its own settings to "
        "them, and none that cannot be parsed; or as they are in Kafka.",
    )
    sinks_tables: str = Field(
        "",
        description="Comma-separated tables of files; empty: all but raw_callbacks. That is the archive of "
        "callbacks.raw, and has every number and text for as long as files are kept.",
    )
    sinks_files_root: Path | str = Field(
        Path("data/files"),
        description="Folder of the files, or s3://bucket/prefix; all processes of one group must share it.",
    )
    sinks_files_format: Literal["parquet", "ndjson"] = Field(
        "parquet", description="Typed Parquet (zstd), or the records as they are, one a line (gzip)."
    )
    clickhouse_url: str = Field(
        "http://127.0.0.1:8123",
        pattern=r"^https?://[^\s/@:]+(:\d{1,5})?(/[^\s?#]*)?$",
        json_schema_extra={"form": "http(s)://host:port"},
        description="Address of ClickHouse's HTTP interface; user and password have settings of their own.",
    )
    clickhouse_user: str = Field("default", description="User that may create tables and insert.")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="Its password.")
    clickhouse_analyst_password: SecretStr = Field(
        SecretStr(""), description="Password that `routee-sinks schema --analyst-user` gives the user of analysts."
    )
    clickhouse_database: str = Field(
        "routee",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
        json_schema_extra={"form": "up to 63 letters, digits and _"},
        description="Database; `routee-sinks schema` creates it.",
    )
    clickhouse_cluster: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.{}-]{1,64}$",
        json_schema_extra={"form": "1 to 64 letters, digits and . _ - { }"},
        description="Cluster of replicas on which the schema is created, with replicated tables; none for one server.",
    )
    clickhouse_sharded: Literal["yes", "no"] = Field(
        "no",
        description="yes spreads the rows over the shards of CLICKHOUSE_CLUSTER, all of a message on one; to be chosen "
        "before the first row.",
    )

    clickhouse_time_zone: str = Field(
        "UTC",
        pattern=r"^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}$",
        json_schema_extra={"form": "a name such as Europe/Athens"},
        description="Zone of days and hours in the views; `routee-sinks schema` applies it.",
    )
    clickhouse_retention_days_status: int = _days(400, "the latest state of each SMS, after its last change")
    clickhouse_retention_days_history: int = _days(90, "the changes of SMS and campaigns")
    clickhouse_retention_days_campaigns: int = _days(400, "the latest state of each campaign, after its last change")
    clickhouse_retention_days_delivery: int = _days(400, "the cells of deliveries, after their window")
    clickhouse_retention_days_alarms: int = _days(400, "the alarms of deliveries, after they opened")
    clickhouse_retention_days_rejected: int = _days(30, "refused callbacks")
    sinks_files_retention_days: int = _days(400, "files, by the day of their folder: the sink deletes whole folders")

    @field_validator("sinks_tables")
    @classmethod
    def _tables_are_known(cls, value: str) -> str:
        if unknown := sorted({*_split(value)} - {*FILE_TABLE_OF.values()}):
            raise ValueError(f"no table is named {', '.join(unknown)}; there are {', '.join(FILE_TABLE_OF.values())}")
        return value

    @field_validator("clickhouse_sharded")
    @classmethod
    def _shards_are_of_a_cluster(cls, value: str, others: ValidationInfo) -> str:
        if value == "yes" and "clickhouse_cluster" in others.data and others.data["clickhouse_cluster"] is None:
            raise ValueError("CLICKHOUSE_CLUSTER has to name the cluster that has the shards")
        return value

    @field_validator("sinks_files_root", mode="before")
    @classmethod
    def _root_is_a_folder(cls, value: object) -> object:
        if isinstance(value, str | Path) and isinstance(root := files_root(value), Path):
            return root
        if not is_bucket(str(value)):
            raise ValueError(
                f"expected the path of a folder, or {BUCKET_FORM}: other object stores are not tested, and "
                "credentials, region and endpoint have variables of their own (AWS_ACCESS_KEY_ID, AWS_REGION …)"
            )
        return str(value).rstrip("/")

    @property
    def file_table_of(self) -> dict[Topic, str]:
        """Return topic → table, of the tables that files are to have."""
        chosen = _split(self.sinks_tables) or [*TABLE_OF.values()]
        return {topic: table for topic, table in FILE_TABLE_OF.items() if table in chosen}

    @property
    def shards(self) -> Shards | None:
        """Return the shards that have the rows of ClickHouse, None where each server has all rows."""
        if self.clickhouse_sharded == "no" or self.clickhouse_cluster is None:
            return None
        return Shards(self.clickhouse_cluster, self.clickhouse_database, f"{self.clickhouse_database}_shard")

    @property
    def tables_database(self) -> str:
        """Return the database of the tables that keep rows."""
        return self.shards.tables if self.shards else self.clickhouse_database

    def limits_of(self, sink: str) -> Limits:
        """Return the limits of a batch for `clickhouse` or `files`."""
        nbytes = self.sinks_batch_bytes or _BATCH_BYTES[sink]
        return Limits(rows=self.sinks_batch_rows, nbytes=nbytes, seconds=self.sinks_batch_seconds)
