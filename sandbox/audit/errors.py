"""
What can go wrong while looking at the pipeline.

AuditError
└── SourceError       ClickHouse, Kafka or a metrics page does not answer
"""


class AuditError(Exception):
    """Base of them; `str()` is one line for people."""


class SourceError(AuditError):
    """Something that has to be looked at does not answer; names it."""
