"""
The errors of a redrive.

    RedriveError
    ├── ReadError              the topics cannot be read
    └── FileError              a file of an export cannot be written, or one to import has faults
"""

from ingest.errors import IngestError


class RedriveError(IngestError):
    """Base of them; `str()` is a line for people for each fault, without a number or a text."""


class ReadError(RedriveError):
    """A topic is missing, or Kafka does not give its records."""


class FileError(RedriveError):
    """A file cannot be used; nothing was stored."""
