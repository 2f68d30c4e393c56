"""
TLS of the server, and certificates that are renewed on disk: new connections get them without a restart.
"""

import logging
import ssl
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from ingest.clock import Clock
from ingest.errors import CannotListenError
from ingest.files import tls_file_problems
from ingest.settings import IngestSettings
from streams.program.certificates import NO_PASSWORD, end_of_certificate

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 2.0

_Digests = tuple[bytes | None, ...]


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

    A pair is taken only whole: while the key is not that of the certificate, or a file is broken or gone, the pair
    before it stays. Connections keep the certificate that they began with.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        settings: IngestSettings,
        clock: Clock,
        tell_end: Callable[[float], None] = lambda _: None,
    ) -> None:
        """
        Take the context in which connections begin; from now on they get the newest certificate.

        `tell_end` is told of each certificate until when it is valid, in seconds since 1970 UTC.
        """
        self._tell_end = tell_end
        self._settings = settings
        self._clock = clock
        self._newest = context
        self._read: _Digests | None = None
        self._told: str | None = None
        context.sni_callback = self._hand_out
        self.look()  # the files may have changed since the context was made

    async def run(self) -> None:
        """Look at the files every two seconds, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the files if they have changed. A pair that cannot be used is told once, and tried with every look."""
        on_disk = self._on_disk()
        if on_disk == self._read:
            self._told = None
            return
        try:
            newest = tls_context(self._settings)
        except CannotListenError as error:
            self._tell(str(error))
            return
        if newest is not None:
            self._newest, self._read, self._told = newest, on_disk, None
            if end := end_of_certificate(str(self._settings.ingest_tls_cert)):
                self._tell_end(end)
            logger.info("new connections get the certificate that is on disk now")

    def read_again(self) -> None:
        """Read the files, changed or not, and tell their fault even if it was told before."""
        self._read = self._told = None
        self.look()

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            self._told = trouble
            what = "; ".join(trouble.splitlines())
            logger.warning("%s: new connections get the certificate read before, until both files can be used", what)

    def _on_disk(self) -> _Digests:
        return tuple(_digest(file) for file in (self._settings.ingest_tls_cert, self._settings.ingest_tls_key) if file)

    def _hand_out(self, connection: ssl.SSLObject, _name: str, _began_with: ssl.SSLContext) -> None:
        """Called by OpenSSL in each handshake, with a server name or without."""
        connection.context = self._newest


def _digest(file: str) -> bytes | None:
    """Return a digest of a file, None when it cannot be read. Its date and size may stay when its bytes change."""
    try:
        return sha256(Path(file).read_bytes()).digest()
    except OSError:
        return None
