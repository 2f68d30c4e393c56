"""
The causes for which a request is refused, or a connection before it had one; `http` and `commit` both refuse some.
"""

from enum import StrEnum


class Cause(StrEnum):
    """Why a request or a connection was refused: the label of the metric, one word per cause."""

    NOT_FOUND = "not-found"
    ADDRESS = "address"
    METHOD = "method"
    NO_LENGTH = "no-length"
    TOO_LARGE = "too-large"
    HEAD_TOO_LARGE = "head-too-large"
    ENCODING = "encoding"
    EXPECTATION = "expectation"
    MALFORMED = "malformed"
    SLOW = "slow"
    GUESS = "guess"
    HANDSHAKE = "handshake"
    CONNECTIONS = "connections"
    OVERLOAD = "overload"
    KAFKA = "kafka"
    TOO_LARGE_FOR_KAFKA = "too-large-for-kafka"
