"""
What a client may take of time and room. Not settings: nobody has needed other values, tests aside.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Seconds and sizes of one connection.

    A request must be whole within `request_s` of its first byte. A connection may be idle for `idle_s`, leave answers
    unread for `write_s`, and go on sending after its last answer for `linger_s` (closing on it at once would make
    the kernel take that answer back). While the server stops, idle connections get `goodbye_s` to be used.
    """

    request_s: float = 10.0
    idle_s: float = 75.0
    write_s: float = 10.0
    linger_s: float = 2.0
    goodbye_s: float = 1.0
    head_bytes: int = 16_384
    head_fields: int = 64
    target_bytes: int = 2048
    pipelined: int = 64
    lingering_bytes: int = 16 << 20
