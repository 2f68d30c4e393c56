"""
Files that only the user of the program may read: they hold numbers, texts and secrets.
"""

import os
from typing import Final

_ONLY_OURS: Final = 0o077


def keep_files_private() -> None:
    """
    Have all files that this process and its children make from now on be 0600, and folders 0700.

    One mask for the process, so that files which libraries make (RocksDB, Kafka, ClickHouse) are no exception.
    """
    os.umask(_ONLY_OURS)
