"""
How much time and room a client may take. Not settings: no installation has needed other values; tests use shorter ones.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Seconds and sizes of one connection.

    A request must be whole within `request_seconds` of its first byte. So long may a handshake of TLS take, and so long
    may a new connection be silent; one that has had a request may be idle for `idle_seconds`. A connection may leave
    answers unread for `write_seconds`, and go on sending after its last answer for `linger_seconds`: if it were closed
    at once, the kernel would take that answer back. While the server stops, idle connections may be used for
    `goodbye_seconds` more. The answer to a client that guesses secrets is held back for `guess_seconds`.
    """

    request_seconds: float = 10.0
    idle_seconds: float = 75.0
    write_seconds: float = 10.0
    linger_seconds: float = 2.0
    goodbye_seconds: float = 1.0
    guess_seconds: float = 5.0
    head_bytes: int = 16_384
    head_fields: int = 64
    target_bytes: int = 2048
    pipelined: int = 64
    lingering_bytes: int = 16 << 20
