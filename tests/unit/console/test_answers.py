"""
Why a server did not answer, in words for people.
"""

import asyncio
import errno
import socket
import ssl
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from console.answers import why_silent
from console.errors import AwayError
from console.live.callbacks import Callbacks
from console.live.feed import Feed
from console.live.picture import Picture
from console.settings import ConsoleSettings
from streams.program.brokers import UnusableFilesError
from streams.program.settings import load_settings

PLACE = Mock(spec=ConnectionKey, host="10.1.2.3", port=8123, ssl=True, is_ssl=True)
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.1.2.3', 8123)")
UNREACHABLE = OSError(errno.EHOSTUNREACH, "Connect call failed ('10.1.2.3', 8123)")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorError(PLACE, REFUSED), "connection refused"),
        (REFUSED, "connection refused"),
        (aiohttp.ClientConnectorError(PLACE, UNREACHABLE), "no route to host"),
        (aiohttp.ClientConnectorError(PLACE, OSError("Multiple exceptions")), "no connection"),
        (aiohttp.ClientConnectorDNSError(PLACE, socket.gaierror(-2, "x")), "its name is not known"),
        (socket.gaierror(-2, "Name or service not known"), "its name is not known"),
        (
            aiohttp.ClientConnectorCertificateError(PLACE, ssl.SSLCertVerificationError()),
            "its certificate is not trusted",
        ),
        (aiohttp.ClientConnectorSSLError(PLACE, ssl.SSLError(1, "x")), "no connection by TLS"),
        (aiohttp.ConnectionTimeoutError(), "not in time"),
        (TimeoutError(), "not in time"),
        (aiohttp.ServerDisconnectedError(), "it ended the connection"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer"),
        (ConnectionResetError(), "it ended the connection"),
        (aiohttp.ClientPayloadError(), "its answer is no whole one of HTTP"),
        (aiohttp.InvalidURL("http://["), "its address is none"),
        (KafkaConnectionError(), "no connection"),
        (TopicAuthorizationFailedError(), "topic authorization failed"),
        (UnusableFilesError(), "a file that its settings name cannot be used"),
    ],
)
def test_people_are_told_why_and_neither_the_name_of_a_class_nor_an_address(error: Exception, words: str) -> None:
    assert why_silent(error) == words


async def test_a_kafka_that_cannot_be_reached_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(ConsoleSettings, env_file=None)

    async def unreachable(*_: object) -> None:
        raise KafkaConnectionError

    async def once(_: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(Feed, "_read", unreachable)
    feed = Feed(settings, Picture(), once)
    with pytest.raises(asyncio.CancelledError):
        await feed.run()
    assert feed.trouble == "Kafka does not answer (no connection)"

    monkeypatch.setattr(Callbacks, "_read", unreachable)
    with pytest.raises(AwayError, match=r"^Kafka does not answer \(no connection\)$"):
        await Callbacks(settings).at(0, 0, 0)
