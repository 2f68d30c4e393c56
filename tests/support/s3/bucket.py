"""
A bucket as its readers see it, by libraries that have no part in writing it: pyarrow, DuckDB and Polars.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs

from tests.support.s3.server import CREDENTIALS, S3Server
from tests.support.s3.wire import S3Wire

PREFIX: Final = "some/prefix"


@dataclass(frozen=True)
class Bucket:
    """One bucket, the server that has it, and the wire that programs under test reach it by."""

    server: S3Server
    name: str
    wire: S3Wire

    @property
    def root(self) -> str:
        """Return the address for SINKS_FILES_ROOT."""
        return f"s3://{self.name}/{PREFIX}"

    @property
    def settings(self) -> dict[str, str]:
        """Return the environment of a program that writes to it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.wire.url, "SINKS_FILES_ROOT": self.root}

    def _files(self) -> pyarrow.fs.S3FileSystem:
        return pyarrow.fs.S3FileSystem(
            access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region=CREDENTIALS["AWS_REGION"],
            endpoint_override=self.server.url,
        )

    def names(self, table: str) -> list[tuple[int, int]]:
        """Return partition and position of every object of a table, in order, joined ones left out."""
        chosen = pyarrow.fs.FileSelector(f"{self.name}/{PREFIX}/{table}", recursive=True, allow_not_found=True)
        paths = [info.path.rpartition("/")[2] for info in self._files().get_file_info(chosen)]
        found = (re.fullmatch(r"(\d+)-(\d+)\.(?:parquet|ndjson\.gz)", path) for path in paths)
        return sorted((int(match[1]), int(match[2])) for match in found if match)

    def arrow(self, table: str) -> pa.Table:
        """Return the rows of a table as Arrow reads them in place."""
        path = f"{self.name}/{PREFIX}/{table}"
        return pyarrow.dataset.dataset(path, filesystem=self._files(), format="parquet", partitioning="hive").to_table()

    def duckdb(self, query: str, table: str) -> list[tuple[Any, ...]]:
        """Return the answer of a query over `found`, the rows of a table, by DuckDB."""
        found = self.arrow(table)
        with duckdb.connect() as connection:
            connection.register("found", found)
            return connection.execute(query).fetchall()

    def polars(self, table: str) -> pl.DataFrame:
        """Return the rows of a table as Polars reads them in place."""
        options = {
            "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            "aws_region": CREDENTIALS["AWS_REGION"],
            "aws_endpoint_url": self.server.url,
            "aws_allow_http": "true",
        }
        return pl.scan_parquet(f"{self.root}/{table}/**/*.parquet", storage_options=options).collect()
