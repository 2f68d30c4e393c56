"""
secrets.sh: what it makes, once, and for whom.
"""

import os
import shutil
import stat
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from tests.containers.engine import DOCKER
from tests.containers.manifests import compose

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl on the PATH")

_SHORTEST: Final = 32


def made(folder: Path, **environment: str) -> Path:
    """Run it in a copy of its folder, and return where the secrets are."""
    shutil.copy(DOCKER / "secrets.sh", folder)
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    subprocess.run([folder / "secrets.sh"], env=inherited | environment, check=True, capture_output=True, timeout=60)
    return folder / environment.get("SECRETS_FOLDER", "secrets")


def test_it_makes_every_file_that_compose_mounts(tmp_path: Path) -> None:
    secrets = made(tmp_path)
    wanted = {
        secret["file"].rsplit("/", 1)[1]
        for file in ("compose.yaml", "compose.secure.yaml", "compose.monitoring.yaml")
        for secret in compose(file)["secrets"].values()
    }
    assert {file.name for file in secrets.iterdir()} == wanted
    assert (tmp_path / ".env").read_text() == "SECRETS_FOLDER=./secrets\n"


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in made(tmp_path).iterdir()}
    (tmp_path / "secrets" / "ingest_secrets").unlink()
    after = {file.name: file.read_bytes() for file in made(tmp_path).iterdir()}
    assert after.pop("ingest_secrets") != before.pop("ingest_secrets")
    assert after == before
    assert (tmp_path / ".env").read_text() == "SECRETS_FOLDER=./secrets\n"


def test_secrets_are_long_and_all_different(tmp_path: Path) -> None:
    secrets = made(tmp_path)
    made_here = [file for file in secrets.iterdir() if file.suffix == "" and file.name != "routee_application_secret"]
    texts = [file.read_text() for file in made_here]
    assert min(map(len, texts)) >= _SHORTEST
    assert len(set(texts)) == len(texts)
    readers = [reader.split(":") for reader in (secrets / "streams_read_tokens").read_text().split(",")]
    assert [(name, rights) for name, _, rights in readers] == [
        *(("support", "full"), ("dashboard", "masked"), ("console", "full")),
    ]
    assert min(len(token) for _, token, _ in readers) >= _SHORTEST


def test_other_users_of_the_host_see_nothing_and_those_of_a_container_can_read(tmp_path: Path) -> None:
    secrets = made(tmp_path)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o644}


def test_a_value_from_the_environment_is_taken_over(tmp_path: Path) -> None:
    secrets = made(tmp_path, INGEST_SECRETS="of-the-url-that-routee-has", CLICKHOUSE_PASSWORD="of-the-volume")  # noqa: S106
    assert (secrets / "ingest_secrets").read_text() == "of-the-url-that-routee-has"
    assert (secrets / "clickhouse_password").read_text() == "of-the-volume"


def test_the_secret_of_the_application_at_routee_is_taken_over_when_it_is_given(tmp_path: Path) -> None:
    """Only Routee can make it: until then its file is empty, so that Compose finds one."""
    assert (made(tmp_path) / "routee_application_secret").read_text() == ""
    secrets = made(tmp_path, ROUTEE_APPLICATION_SECRET="of-the-application")  # noqa: S106
    assert (secrets / "routee_application_secret").read_text() == "of-the-application"


def test_clickhouse_gets_the_hash_of_the_password_and_no_user_without_one(tmp_path: Path) -> None:
    secrets = made(tmp_path)
    password = (secrets / "clickhouse_password").read_bytes()
    users = ET.parse(secrets / "clickhouse_user.xml").find("users")  # noqa: S314 - made here
    assert users is not None
    assert users.findtext("routee/password_sha256_hex") == sha256(password).hexdigest()
    assert [(user.tag, user.get("remove")) for user in users] == [("default", "remove"), ("routee", None)]


@pytest.mark.parametrize(("name", "host"), [("kafka", "kafka"), ("clickhouse", "clickhouse"), ("ingest", "localhost")])
def test_each_certificate_is_signed_for_the_name_that_clients_use(tmp_path: Path, name: str, host: str) -> None:
    secrets = made(tmp_path)
    command = ["openssl", "verify", "-verify_hostname", host, "-CAfile", "tls_ca.pem", f"tls_{name}.pem"]
    subprocess.run(command, cwd=secrets, check=True, capture_output=True)
    assert "PRIVATE KEY" not in (secrets / "tls_ca.pem").read_text()
