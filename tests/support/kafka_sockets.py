"""
Sockets of kafka-python's failed attempts to connect, which it leaves to the collector: closed at once.

In the programs that is soon enough. In a test every warning is an error, and the warning of such a socket comes in
any test in which the collector happens to run. It can go when kafka-python (3.0.12) closes them itself.
"""

from typing import Any

from kafka.net.inet import KafkaNetSocket
from kafka.net.transport import KafkaSSLTransport


def close_sockets_of_failed_attempts() -> None:
    """Have each attempt that ends without a connection close its socket, also one that is given up."""
    connect, handshake = KafkaNetSocket.sock_connect, KafkaSSLTransport.handshake

    async def connect_or_close(self: Any, net: Any, sock: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            return await connect(self, net, sock, *arguments, **options)
        except BaseException:
            sock.close()
            raise

    async def shake_hands_or_close(self: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        sock = self._sock
        try:
            await handshake(self)
        except BaseException:
            sock.close()
            raise

    KafkaNetSocket.sock_connect = connect_or_close
    KafkaSSLTransport.handshake = shake_hands_or_close
