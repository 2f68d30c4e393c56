"""
Whether a program listens.
"""

import socket

from sandbox.ports import LOOPBACK


def accepts_connections(port: int) -> bool:
    """Return whether a process of this machine listens on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
