"""
TLS of the server, and certificates that are renewed on disk: new connections get them without a restart.
"""

import logging
import os
import ssl
from typing import Final

from ingest.clock import Clock
from ingest.errors import CannotListenError
from ingest.files import tls_file_problems
from ingest.settings import IngestSettings
from streams.program.certificates import NO_PASSWORD

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 2.0

_State = tuple[tuple[int, ...] | None, ...]


def tls_context(settings: IngestSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None without INGEST_TLS_CERT; raises CannotListenError for unusable files."""
    if settings.ingest_tls_cert is None:
        return None
    if problems := list(tls_file_problems(vars(settings))):
        raise CannotListenError("\n".join(problems))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.ingest_tls_cert, settings.ingest_tls_key, password=NO_PASSWORD)
    except OSError as error:  # a file has changed since it was looked at
        raise CannotListenError(f"INGEST_TLS_CERT={settings.ingest_tls_cert}: {error.strerror}") from error
    return context


class Certificate:
    """
    The certificate that new connections get: the newest one on disk that can be used.

    Files are compared by the facts that change with every write and every exchange of a link. A pair is taken only
    whole: while the key is not that of the certificate, or a file is broken or gone, the pair before it stays.
    """

    def __init__(self, context: ssl.SSLContext, settings: IngestSettings, clock: Clock) -> None:
        """Take the context in which connections begin; from now on it hands them the newest certificate."""
        self._settings = settings
        self._clock = clock
        self._newest = context
        self._read: _State | None = self._on_disk()
        self._told: str | None = None
        context.sni_callback = self._hand_out

    async def run(self) -> None:
        """Look at the files every two seconds, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the files if they have changed. A pair that cannot be used is told once, and tried with every look."""
        state = self._on_disk()
        if state == self._read:
            return
        try:
            newest = tls_context(self._settings)
        except CannotListenError as error:
            self._tell(str(error))
            return
        if newest is not None:
            self._newest, self._read, self._told = newest, state, None
            logger.info("new connections get the certificate that is on disk now")

    def read_again(self) -> None:
        """Read the files, changed or not, and tell what is wrong with them even if that was told before."""
        self._read = self._told = None
        self.look()

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            self._told = trouble
            logger.warning("new connections get the certificate read before: %s", "; ".join(trouble.splitlines()))

    def _on_disk(self) -> _State:
        return tuple(_facts(file) for file in (self._settings.ingest_tls_cert, self._settings.ingest_tls_key) if file)

    def _hand_out(self, connection: ssl.SSLObject, _name: str, _began_with: ssl.SSLContext) -> None:
        """Called by OpenSSL in each handshake, with a server name or without."""
        connection.context = self._newest


def _facts(file: str) -> tuple[int, ...] | None:
    """Return the facts of a file that differ after any change of it, None when it is not there. Links are followed."""
    try:
        found = os.stat(file)  # noqa: PTH116 - a path as in the settings
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
