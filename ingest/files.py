"""
Checks the files that the settings of ingest name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from streams.program.brokers import kafka_file_problems
from streams.program.certificates import pair_problems


def file_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each file that cannot be used; `named` has the settings that are valid, by name."""
    yield from tls_file_problems(named)
    yield from kafka_file_problems(named)


def tls_file_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each file of INGEST_TLS_… that cannot be used."""
    yield from pair_problems(named, "ingest_tls_cert", "ingest_tls_key")
