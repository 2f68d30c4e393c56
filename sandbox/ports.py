"""
Which ports of this machine are free.
"""

import contextlib
import errno
import socket
from collections.abc import Mapping

from sandbox.errors import PortTakenError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback interface that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(ports: Mapping[str, int], host: str = LOOPBACK) -> None:
    """
    Raise PortTakenError unless every port can be listened on, by us and all at the same time.

    The keys are the variables that set the ports; the message names the first problem's.
    """
    with contextlib.ExitStack() as held:
        for variable, port in ports.items():
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen()
            except OSError as error:
                reason = "in use" if error.errno == errno.EADDRINUSE else error.strerror
                raise PortTakenError(f"port {port} is not free ({reason}): set {variable} to another one") from error


def accepts_connections(port: int, host: str = LOOPBACK) -> bool:
    """Return whether somebody listens on the port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
