"""
Which ports of this machine are free.
"""

import socket

from sandbox.errors import PortTakenError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback interface that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, variable: str, host: str = LOOPBACK) -> None:
    """Raise PortTakenError, naming the port and the variable that moves it, unless the port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            raise PortTakenError(f"port {port} can not be used ({error.strerror}): set {variable}") from error


def accepts_connections(port: int, host: str = LOOPBACK) -> bool:
    """Return whether somebody listens on the port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
