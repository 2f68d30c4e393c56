"""
Run as a program: imports every module of the packages named, and prints what any of them did besides.

`python -m tests.support.import_everything ingest streams …`; no output means that nothing was done. Only our own code
counts: a third-party library's own deeds on import do not.
"""

import importlib
import os
import pkgutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
VARIABLES = ("INGEST_", "STREAMS_", "SINKS_", "SANDBOX_", "KAFKA_", "CLICKHOUSE_", "LOG_")
DEEDS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.fork"}


class Watch:
    """Deeds of the imported modules, each with the file of ours that did it."""

    def __init__(self, packages: Iterable[str]) -> None:
        self.seen: list[str] = []
        self._ours = tuple(f"{ROOT / package.replace('.', os.sep)}{os.sep}" for package in packages)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note a deed."""
        if event in DEEDS and (file := self._acting()):
            self.seen.append(f"{file}: {event} {arguments[:2]}")

    def reading(self, read: Callable[..., str]) -> Callable[..., str]:
        """Return `read` of the environment so that it notes our variables."""

        def watched(environment: object, name: str) -> str:
            if name.startswith(VARIABLES) and (file := self._acting()):
                self.seen.append(f"{file}: reads {name}")
            return read(environment, name)

        return watched

    def starting(self, start: Callable[..., None]) -> Callable[..., None]:
        """Return `Thread.start` so that it notes who calls it."""

        def watched(thread: object) -> None:
            if file := self._acting():
                self.seen.append(f"{file}: starts a thread")
            start(thread)

        return watched

    def _acting(self) -> str | None:
        """Return the file of the innermost frame that is ours, unless a library of others is between."""
        for frame, _ in traceback.walk_stack(sys._getframe(2)):
            file = frame.f_code.co_filename
            if "site-packages" in file:
                return None
            if file.startswith(self._ours):
                return str(Path(file).relative_to(ROOT))
        return None


def main(packages: list[str]) -> None:
    """Import them all, under watch."""
    watch = Watch(packages)
    sys.addaudithook(watch.audit)
    environment: Any = type(os.environ)
    environment.__getitem__ = watch.reading(environment.__getitem__)
    thread: Any = threading.Thread
    thread.start = watch.starting(thread.start)
    for name in packages:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    sys.stdout.write("".join(f"{line}\n" for line in watch.seen))


if __name__ == "__main__":
    main(sys.argv[1:])
