"""TLS without a proxy in front."""

import asyncio
import ssl
from pathlib import Path

import pytest

from ingest.errors import CannotListenError
from ingest.settings import IngestSettings
from ingest.tls import tls_context
from sandbox.probes import answers_ok
from tests.integration.ingest.wire import post, serving

FOLDER = Path(__file__).parent / "tls"
CERT, KEY, OTHER = (str(FOLDER / name) for name in ("cert.pem", "key.pem", "other.pem"))


def settings(cert: str = CERT, key: str = KEY) -> IngestSettings:
    return IngestSettings(ingest_tls_cert=cert, ingest_tls_key=key)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts with which server and client speak TLS."""
    server = tls_context(settings())
    assert server is not None
    return server, ssl.create_default_context(cafile=CERT)


async def test_callbacks_are_taken_over_tls() -> None:
    async with serving(tls=contexts()) as server:
        wire = await server.talk(post(), post() + post(), post(fields="Connection: close\r\n"))
        assert await wire.statuses(4) == [200] * 4
        assert await wire.is_closed()
        assert len(server.callbacks) == 4


async def test_refusals_reach_a_tls_client() -> None:
    async with serving(tls=contexts()) as server:
        wire = await server.talk(post(path="/callbacks/wrong"))
        assert (await wire.reply()).status == 404
        assert await wire.is_closed()


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("missing.pem", KEY, ["INGEST_TLS_CERT=missing.pem: No such file or directory"]),
        (CERT, "missing.pem", ["INGEST_TLS_KEY=missing.pem: No such file or directory"]),
        (KEY, KEY, [f"INGEST_TLS_CERT={KEY}: no certificate is in it"]),
        (CERT, CERT, [f"INGEST_TLS_KEY={CERT}: no private key is in it"]),
        (
            "missing.pem",
            CERT,
            [
                "INGEST_TLS_CERT=missing.pem: No such file or directory",
                f"INGEST_TLS_KEY={CERT}: no private key is in it",
            ],
        ),
    ],
)
def test_each_unusable_file_is_a_line(cert: str, key: str, said: list[str]) -> None:
    with pytest.raises(CannotListenError) as wrong:
        tls_context(settings(cert, key))
    assert [line.split(" (")[0] for line in str(wrong.value).splitlines()] == said


def test_a_key_of_another_certificate_is_one_line() -> None:
    with pytest.raises(CannotListenError) as wrong:
        tls_context(settings(CERT, OTHER))
    assert str(wrong.value) == f"INGEST_TLS_CERT={CERT}, INGEST_TLS_KEY={OTHER}: the key is not that of the certificate"


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_context(IngestSettings()) is None


async def test_the_sandbox_finds_out_over_tls_whether_it_is_ready() -> None:
    async with serving(tls=contexts()) as server:
        assert await asyncio.to_thread(answers_ok, f"https://127.0.0.1:{server.port}/readyz")
        server.log.trouble = "the topic is missing"
        assert not await asyncio.to_thread(answers_ok, f"https://127.0.0.1:{server.port}/readyz")
