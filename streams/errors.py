"""
How a worker of streams fails.

    StreamsError                     the program ends with exit code 1 and this one line
    ├── KafkaUnreachableError        no broker answered
    ├── ReplicationRefusedError      Kafka has fewer brokers than KAFKA_REPLICATION_FACTOR wants
    ├── SettingsRefusedError         Kafka refuses a setting that a topic needs
    ├── TopicsDifferError            topics are missing or differ; `problems` has a line and a remedy for each
    ├── UsageError                   what a command was given cannot be used; it ends with exit code 2
    ├── CertificatesError            the files of KAFKA_SSL_… cannot be used
    ├── WorkersRunningError          the command needs all workers to be stopped
    ├── DataFolderError              the folder of local state cannot be used
    └── PortInUseError               an address cannot be listened on

A running worker is crash-only: when it can no longer prove that its writes are durable and its own, it calls `die`
with an `Exit`, and its supervisor starts it again. Nothing is lost: it continues from the last checkpoint.
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
    """Kafka answered, and does not create topics with so many replicas."""


class SettingsRefusedError(StreamsError):
    """Kafka answered, and does not let a topic have the settings that it needs."""


class TopicsDifferError(StreamsError):
    """Topics are missing, or differ from the contract; `problems` has a line and a remedy for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UsageError(StreamsError):
    """A command was given something that it cannot use, or lacks a setting. Nothing was done."""


class CertificatesError(StreamsError):
    """The files that KAFKA_SSL_… name cannot be read, or are no certificates and keys."""


class WorkersRunningError(StreamsError):
    """The group has members."""


class DataFolderError(StreamsError):
    """The folder of local state cannot be created, written or locked."""


class PortInUseError(StreamsError):
    """Another process listens on the web port."""


class Exit(IntEnum):
    """The reason why a worker ended itself. A supervisor restarts it for each; the README explains each code."""

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
    ERASURES_UNKNOWN = 86
    PARTITIONS_CHANGED = 87


def place_of(error: BaseException) -> str:
    """Return the class of an error and where it was raised, without its text, which may quote a callback."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {Path(frame.filename).name} line {frame.lineno}"


Die = Callable[[Exit, str], NoReturn]
"""Ends the process. It is a parameter, so that a test can pass a function that does not."""


def die(code: Exit, why: str) -> NoReturn:
    """End the process at once, without a flush, a commit or any clean-up that could write."""
    logger.critical("%s: %s", code.name.lower().replace("_", "-"), why, extra={"exit_code": int(code)})
    os._exit(code)
