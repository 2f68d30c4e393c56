"""
Lists of keys by the number of a bucket, in rows that stay small however many keys there are.

A bucket is a row [number of full chunks, keys of the open chunk]; each full chunk is a row of its own, so the rows
that change stay small under any traffic.
"""

from collections.abc import Iterable
from typing import Final

from streams.domain.stage import Rows

CHUNK_KEYS: Final = 100


class Listing:
    """The lists whose rows have keys with one prefix."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix: Final = prefix

    def add(self, rows: Rows, bucket: int, keys: Iterable[str]) -> None:
        """List keys (as text) in a bucket."""
        bucket_key = self._bucket_key(bucket)
        row = rows.kept(bucket_key)
        if row is None:
            row = rows.get(bucket_key) or [0, []]
            rows.keep(bucket_key, row)
        opened = row[1]
        opened += keys
        while len(opened) >= CHUNK_KEYS:
            rows.put(self._chunk_key(bucket, row[0]), opened[:CHUNK_KEYS])
            del opened[:CHUNK_KEYS]
            row[0] += 1

    def count(self, rows: Rows, bucket: int) -> int:
        """Return how many keys a bucket has from which none was taken yet."""
        bucket_key = self._bucket_key(bucket)
        row = rows.kept(bucket_key) or rows.get(bucket_key)
        return 0 if row is None else CHUNK_KEYS * int(row[0]) + len(row[1])

    def take_chunk(self, rows: Rows, bucket: int) -> list[str] | None:
        """Take the newest chunk out of a bucket, the open one first; None when the bucket has no row (any more)."""
        bucket_key = self._bucket_key(bucket)
        row = rows.get(bucket_key)
        if row is None:
            return None
        chunks, opened = row[:2]
        if chunks == 0:
            rows.delete(bucket_key)
            return list(opened)
        if opened:
            row[1] = []
            rows.put(bucket_key, row)
            return list(opened)
        key = self._chunk_key(bucket, chunks - 1)
        keys = rows.get(key)
        rows.delete(key)
        row[0] -= 1
        rows.put(bucket_key, row)
        return list(keys)

    def _bucket_key(self, bucket: int) -> bytes:
        return self._prefix + b"%d" % bucket

    def _chunk_key(self, bucket: int, chunk: int) -> bytes:
        return self._prefix + b"%d:%d" % (bucket, chunk)
