"""
Notices, and refuses, what a test should not do: reach for the network.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class NetworkGuard:
    """An audit hook; within `watching` it refuses connections and name lookups, and keeps the attempts."""

    def __init__(self) -> None:
        self._attempts: list[str] | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an audit event, as `sys.addaudithook` hands them over."""
        if self._attempts is None or event not in {"socket.connect", "socket.getaddrinfo"}:
            return
        if event == "socket.connect" and arguments[0].family == socket.AF_UNIX:
            return
        self._attempts.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[:2]}")
        raise PermissionError(f"no network in unit tests: {event}")

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        """Refuse within the block, and yield the list of attempts, which grows."""
        attempts: list[str] = []
        self._attempts = attempts
        try:
            yield attempts
        finally:
            self._attempts = None
