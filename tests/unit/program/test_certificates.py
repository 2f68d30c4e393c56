"""Until when a certificate is valid."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from streams.program.certificates import end_of_certificate

CERTIFICATES = sorted((Path(__file__).parents[2] / "integration" / "ingest" / "tls").glob("*.pem"))

MAKE = [
    "openssl",
    "req",
    "-x509",
    "-nodes",
    "-subj",
    "/CN=a",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
]
NEEDS_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl on the PATH")


def end_by_openssl(file: Path) -> float | None:
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(file), "-noout", "-enddate"], capture_output=True, text=True, check=False
    )
    return None if shown.returncode else ssl.cert_time_to_seconds(shown.stdout.strip().removeprefix("notAfter="))


@NEEDS_OPENSSL
@pytest.mark.parametrize("file", CERTIFICATES, ids=lambda file: file.name)
def test_the_end_is_the_one_that_openssl_shows(file: Path) -> None:
    assert end_of_certificate(str(file)) == end_by_openssl(file)


@NEEDS_OPENSSL
@pytest.mark.parametrize("days", [825, 365 * 40], ids=["UTCTime", "GeneralizedTime"])
def test_both_forms_of_a_date_are_read_also_behind_a_key(tmp_path: Path, days: int) -> None:
    file = tmp_path / "both.pem"
    made = ["-days", str(days), "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run([*MAKE, *made], check=True, capture_output=True)
    file.write_text((tmp_path / "key").read_text() + (tmp_path / "certificate").read_text())
    assert end_of_certificate(str(file)) == end_by_openssl(file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "\xff\xfe",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ],
)
def test_of_a_file_without_a_certificate_no_end_is_known(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.pem"
    file.write_text(text, encoding="latin-1")
    assert end_of_certificate(str(file)) is None


def test_of_a_missing_file_no_end_is_known(tmp_path: Path) -> None:
    assert end_of_certificate(str(tmp_path / "missing.pem")) is None
