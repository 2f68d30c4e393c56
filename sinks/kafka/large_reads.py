"""
kafka-python's connection without TLS, which reads a fetched answer in large pieces, and the buffer of an answer.

kafka-python takes 4 KiB at a time from the kernel, a thousand pieces of one answer, and joins them: a fifth of the time
of reading. Then it copies the answer twice before it looks into it.
"""

from typing import Final

from kafka.errors import KafkaError
from kafka.net.transport import KafkaTCPTransport
from kafka.protocol.frame import KafkaBytes

_AT_ONCE_BYTES: Final = 256 << 10
_LARGE_BYTES: Final = 64 << 10


class LargeReads(KafkaTCPTransport):  # type: ignore[misc]  # kafka-python has no type information
    """Replaces the transport of every connection that is made after `private_names.connect_by`."""

    def _sock_recv(self) -> tuple[bytes, KafkaError | None]:
        """Return the bytes that are there, at most so many; all else, as an end or an error, kafka-python finds out."""
        try:
            found: bytes = self._sock.recv(_AT_ONCE_BYTES)
        except OSError:
            found = b""
        return (found, None) if found else super()._sock_recv()


class LargeAnswer(KafkaBytes):  # type: ignore[misc]  # the same
    """Replaces the buffer of every answer that is received after `private_names.receive_by`."""

    def read(self, nbytes: int | None = None) -> bytes | memoryview:
        """Return the next bytes; all that are left of a large answer, which is read for its decoding, are no copy."""
        start = self.tell()
        if nbytes is not None or len(self) - start < _LARGE_BYTES:
            found: bytes = super().read(nbytes)
            return found
        self.seek(len(self))
        return memoryview(self)[start:]
