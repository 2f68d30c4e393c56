"""TLS without a proxy in front, and certificates that are renewed on disk."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.errors import CannotListenError
from ingest.settings import IngestSettings
from ingest.tls import Certificate, tls_context
from streams.program.certificates import end_of_certificate
from tests.integration.ingest.process import environment, ingest
from tests.integration.ingest.wire import Server, post, serving
from tests.support.clock import FakeClock
from tests.support.wait import eventually

FOLDER = Path(__file__).parent / "tls"
CERT, KEY, OTHER = (str(FOLDER / name) for name in ("cert.pem", "key.pem", "other.pem"))
RENEWED, RSA, RSA_KEY = (str(FOLDER / name) for name in ("renewed.pem", "rsa.pem", "rsa-key.pem"))


def settings(cert: str = CERT, key: str = KEY) -> IngestSettings:
    return IngestSettings(ingest_host="127.0.0.1", ingest_tls_cert=cert, ingest_tls_key=key)


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
    assert tls_context(IngestSettings(ingest_host="127.0.0.1")) is None


def der(file: str) -> bytes:
    """Return the bytes of the certificate in a file."""
    return ssl.PEM_cert_to_DER_cert(Path(file).read_text())


def trusting() -> ssl.SSLContext:
    """Return the context of a client that trusts every server: it only looks at the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Renewal:
    """A served certificate whose files the test replaces."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self.write(CERT, KEY)
        self.clock = FakeClock()
        told = settings(str(self.cert), str(self.key))
        context = tls_context(told)
        assert context is not None
        self.context = context
        self.ends: list[float] = []
        self.served = Certificate(context, told, self.clock, self.ends.append)

    def write(self, cert: str, key: str) -> None:
        shutil.copyfile(cert, self.cert)
        shutil.copyfile(key, self.key)

    def pad(self) -> None:
        """Make the certificate's file as long as another one that is padded."""
        self.cert.write_text(self.cert.read_text().ljust(2000, "\n"))


@pytest.fixture
def renewal(tmp_path: Path) -> Renewal:
    return Renewal(tmp_path)


async def handed_out(server: Server) -> bytes:
    """Return the certificate that a new connection gets."""
    wire = await server.connect()
    connection: ssl.SSLObject = wire.writer.get_extra_info("ssl_object")
    assert await wire.is_open()
    return connection.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize(("cert", "key"), [(RENEWED, OTHER), (RSA, RSA_KEY)], ids=["renewed", "another kind of key"])
async def test_new_connections_get_the_certificate_on_disk_and_open_ones_go_on(
    renewal: Renewal, cert: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tls=(renewal.context, trusting())) as server:
        before = await server.talk(post())
        assert (await before.reply()).status == 200
        renewal.write(cert, key)
        assert await handed_out(server) == der(CERT)
        with caplog.at_level("INFO"):
            renewal.served.look()
        assert [await handed_out(server) for _ in range(3)] == [der(cert)] * 3
        await before.send(post())
        assert (await before.reply()).status == 200
        assert "new connections get the certificate that is on disk now" in caplog.text


async def test_the_files_are_looked_at_every_few_seconds(renewal: Renewal) -> None:
    looking = asyncio.create_task(renewal.served.run())
    async with serving(tls=(renewal.context, trusting())) as server:
        renewal.write(RENEWED, OTHER)

        for _ in range(5):
            renewal.clock.advance(1.0)
            await server.has_read()
        assert await handed_out(server) == der(RENEWED)
    looking.cancel()


def test_the_end_of_each_certificate_is_told_and_of_one_that_cannot_be_used_it_is_not(renewal: Renewal) -> None:
    renewal.write(RENEWED, OTHER)
    renewal.served.look()
    shutil.copyfile(RSA, renewal.cert)
    renewal.served.look()
    assert renewal.ends == [end_of_certificate(CERT), end_of_certificate(RENEWED)]


async def test_links_that_are_exchanged_are_followed(tmp_path: Path, renewal: Renewal) -> None:
    """Kubernetes keeps a mounted secret behind a link to a folder, and exchanges the link."""
    for name, cert, key in (("old", CERT, KEY), ("new", RENEWED, OTHER)):
        (tmp_path / name).mkdir()
        shutil.copyfile(cert, tmp_path / name / "tls.crt")
        shutil.copyfile(key, tmp_path / name / "tls.key")
    for file in (renewal.cert, renewal.key):
        file.unlink()
        file.symlink_to(tmp_path / "data" / file.name)
    (tmp_path / "data").symlink_to("old")
    async with serving(tls=(renewal.context, trusting())) as server:
        renewal.served.look()
        assert await handed_out(server) == der(CERT)
        (tmp_path / "next").symlink_to("new")
        (tmp_path / "next").rename(tmp_path / "data")
        renewal.served.look()
        assert await handed_out(server) == der(RENEWED)


async def test_a_file_with_the_same_size_and_date_is_a_new_one(renewal: Renewal) -> None:
    """As `cp --preserve` and archives leave it."""
    async with serving(tls=(renewal.context, trusting())) as server:
        renewal.pad()
        renewal.served.look()
        dates = [(file, file.stat()) for file in (renewal.cert, renewal.key)]
        renewal.write(RENEWED, OTHER)
        renewal.pad()
        for file, stat in dates:
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            assert (file.stat().st_size, file.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        renewal.served.look()
        assert await handed_out(server) == der(RENEWED)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


UNUSABLE: dict[str, tuple[Callable[[Renewal], object], str]] = {
    "certificate first": (
        lambda renewal: shutil.copyfile(RENEWED, renewal.cert),
        "INGEST_TLS_CERT={cert}, INGEST_TLS_KEY={key}: the key is not",
    ),
    "key first": (
        lambda renewal: shutil.copyfile(OTHER, renewal.key),
        "INGEST_TLS_CERT={cert}, INGEST_TLS_KEY={key}: the key is",
    ),
    "certificate gone": (lambda renewal: renewal.cert.unlink(), "INGEST_TLS_CERT={cert}: No such file or directory"),
    "key gone": (lambda renewal: renewal.key.unlink(), "INGEST_TLS_KEY={key}: No such file or directory"),
    "certificate half written": (lambda renewal: _half(renewal.cert), "INGEST_TLS_CERT={cert}: no certificate is in"),
    "key half written": (lambda renewal: _half(renewal.key), "INGEST_TLS_CERT={cert}, INGEST_TLS_KEY={key}: the key"),
    "empty": (lambda renewal: renewal.cert.write_bytes(b""), "INGEST_TLS_CERT={cert}: no certificate is in it"),
    "a folder": (lambda renewal: _folder(renewal.key), "INGEST_TLS_KEY={key}: Is a directory"),
    "exchanged": (lambda renewal: renewal.write(KEY, CERT), "INGEST_TLS_CERT={cert}: no certificate is in it"),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_while_the_files_cannot_be_used_the_pair_before_them_stays(
    renewal: Renewal, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, told = UNUSABLE[name]
    async with serving(tls=(renewal.context, trusting())) as server:
        spoil(renewal)
        for _ in range(3):
            renewal.served.look()
            assert await handed_out(server) == der(CERT)
        (record,) = caplog.records
        assert record.getMessage().startswith(told.format(cert=renewal.cert, key=renewal.key))
        assert record.getMessage().endswith(
            ": new connections get the certificate read before, until both files can be used"
        )
        if renewal.key.is_dir():
            renewal.key.rmdir()
        renewal.write(RENEWED, OTHER)
        renewal.served.look()
        assert await handed_out(server) == der(RENEWED)


def test_files_are_not_read_again_without_need(renewal: Renewal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        renewal.served.look()
        assert not caplog.records
        renewal.served.read_again()
        assert len(caplog.records) == 1, "told to, by SIGHUP"


def test_a_pair_that_comes_back_is_no_news_and_its_next_fault_is(
    renewal: Renewal, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        renewal.key.unlink()
        renewal.served.look()
        renewal.write(CERT, KEY)
        renewal.served.look()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_signal_has_a_fault_told_again(renewal: Renewal, caplog: pytest.LogCaptureFixture) -> None:
    renewal.key.unlink()
    for _ in range(2):
        renewal.served.look()
        renewal.served.read_again()
    assert len(caplog.records) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_server_takes_a_renewed_certificate(tmp_path: Path, workers: int) -> None:
    """By itself within seconds, and at SIGHUP, which the process that started the workers passes on."""
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    shutil.copyfile(CERT, cert)
    shutil.copyfile(KEY, key)
    given = environment("127.0.0.1:1", "t.", ingest_workers=workers, ingest_tls_cert=cert, ingest_tls_key=key)
    with ingest(tmp_path, given) as server:
        eventually(lambda: server.log.count("listening on") == workers)
        shutil.copyfile(OTHER, key)
        eventually(lambda: server.log.count("read before") == workers)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: server.log.count("read before") == 2 * workers)
        assert taken_by(server.port) == der(CERT)
        shutil.copyfile(RENEWED, cert)
        eventually(lambda: server.log.count("on disk now") == 2 * workers)
        assert {taken_by(server.port) for _ in range(10)} == {der(RENEWED)}
        assert server.stop() == 0
        assert "Traceback" not in server.log


def taken_by(port: int) -> bytes:
    with trusting().wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30)) as client:
        return client.getpeercert(binary_form=True) or b""
