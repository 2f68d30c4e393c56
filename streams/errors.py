"""
How a worker of streams fails.

    StreamsError                     the program ends with exit code 1 and this one line
    ├── KafkaUnreachableError        no broker answered
    ├── ReplicationRefusedError      Kafka has fewer brokers than KAFKA_REPLICATION_FACTOR wants
    ├── TopicsDifferError            topics are missing or differ; `problems` has a line and a remedy for each
    ├── CertificatesError            the files of KAFKA_SSL_… cannot be used
    ├── WorkersRunningError          what was asked for needs all workers to be stopped
    ├── DataFolderError              the folder of local state cannot be used
    └── PortInUseError               the web port is taken

A running worker is crash-only: where it can no longer prove that its writes are durable and its own, it calls `die`
with an `Exit` and is started again by its supervisor. Nothing is lost by that: it goes on from the last checkpoint.
"""

import logging
import os
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from traceback import extract_tb
from typing import NoReturn

logger = logging.getLogger(__name__)


class StreamsError(Exception):
    """The program cannot go on; `str()` is one line for people."""


class KafkaUnreachableError(StreamsError):
    """No broker answered."""


class ReplicationRefusedError(StreamsError):
    """Kafka answered, and does not make topics with so many replicas."""


class TopicsDifferError(StreamsError):
    """Topics are missing, or are not what the contract says."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CertificatesError(StreamsError):
    """The files that KAFKA_SSL_… name cannot be read, or are no certificates and keys."""


class WorkersRunningError(StreamsError):
    """The group has members."""


class DataFolderError(StreamsError):
    """The folder of local state cannot be created, written or locked."""


class PortInUseError(StreamsError):
    """Something else listens on the web port."""


class Exit(IntEnum):
    """Why a worker ended itself. A supervisor starts it again for each of them; README says what each one means."""

    STAGE_RAISED = 74
    FLUSH_FAILED = 75
    MAYBE_REPLACED = 76
    FOREIGN_WRITE = 77
    UNFLUSHED_ROWS = 78
    FENCED = 79
    SOURCE_GAP = 80
    STATE_LOST = 81
    TAKEOVER_FAILED = 82
    SOURCE_REPLACED = 83
    SOURCE_EXPIRED = 84
    READ_FAILED = 85


def place_of(error: BaseException) -> str:
    """Return the kind of an error and where it was raised. Its text is left out: it may quote a callback."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {Path(frame.filename).name} line {frame.lineno}"


Die = Callable[[Exit, str], NoReturn]
"""Ends the process; handed in where it may be called, so that a test can do without the end."""


def die(code: Exit, why: str) -> NoReturn:
    """End the process at once: no flush, no commit, no clean-up that could write anything."""
    logger.critical("%s: %s", code.name.lower().replace("_", "-"), why, extra={"exit_code": int(code)})
    os._exit(code)
