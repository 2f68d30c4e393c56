"""
Which ports of this machine are free.
"""

import atexit
import contextlib
import errno
import secrets
import socket
from collections import deque
from collections.abc import Mapping
from typing import Final

from sandbox.errors import PortTakenError

LOOPBACK: Final = "127.0.0.1"
_LISTENING: Final = range(20_000, 32_000)

_claims: Final[deque[contextlib.ExitStack]] = deque()
"""UDP sockets of the ports that this process was given last: another one that looks for a port takes none of these."""
_KEPT_CLAIMS: Final = 32


@atexit.register
def _release() -> None:
    while _claims:
        _claims.popleft().close()


def free_port(together: int = 1) -> int:
    """
    Return a free port of the loopback interface, the first of so many free ones in a row.

    It lies below the ports of outgoing connections, so none of these can take it meanwhile, and no other process gets
    it from this function: it is claimed for the next 32 calls.
    """
    while True:
        first = secrets.choice(_LISTENING)
        if _claim(range(first, first + together)):
            return first


def _claim(ports: range) -> bool:
    """Keep the ports for this process; False when one of them is in use or claimed."""
    with contextlib.ExitStack() as claim:
        try:
            for port in ports:
                claim.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((LOOPBACK, port))
            require_free({str(port): port for port in ports})
        except PortTakenError:
            return False
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        _claims.append(claim.pop_all())
    if len(_claims) > _KEPT_CLAIMS:
        _claims.popleft().close()
    return True


def require_free(ports: Mapping[str, int], host: str = LOOPBACK) -> None:
    """
    Raise PortTakenError unless every port can be listened on, by us and all at the same time.

    The keys are the variables that set the ports, `NAME (+1)` for the port after that of NAME. The message has a line
    for each port that cannot be had.
    """
    taken = []
    given: dict[int, str] = {}
    with contextlib.ExitStack() as held:
        for variable, port in ports.items():
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen()
            except OSError as error:
                reason = "in use" if error.errno == errno.EADDRINUSE else error.strerror
                taken.append(_not_free(port, variable, f"{given[port]} has it" if port in given else reason))
            given.setdefault(port, variable)
    if taken:
        raise PortTakenError("\n".join(taken))


def _not_free(port: int, variable: str, reason: str | None) -> str:
    name, _, offset = variable.partition(" ")
    which = f"port {port}, {name} {offset.strip('()').replace('+', '+ ')}," if offset else f"port {port}"
    return f"{which} is not free ({reason}): set {name} to another one"
