"""
Errors of the audit.

AuditError
└── SourceError       ClickHouse, Kafka or a metrics page does not answer
"""


class AuditError(Exception):
    """Base of them; `str()` is one line for people."""


class SourceError(AuditError):
    """ClickHouse, Kafka or a metrics page does not answer; the message names it."""
