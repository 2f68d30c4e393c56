"""
A real S3 server for tests, with conditional writes: moto, in an environment of its own.

Its library for Amazon's services wants other versions of packages than the project, so it is not among the project's
own packages. The environment is made once per user from a lock with checksums, and kept in the cache folder. After a
change of `requirements.in` the lock is made by `uv pip compile`, with the options of `make lock`.
"""

import hashlib
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final, Self

import pytest

from sandbox.jars import default_cache
from sandbox.ports import free_port
from tests.support.wait import eventually

_LOCK: Final = Path(__file__).with_name("requirements.lock")
_OFFLINE: Final = ("dns error", "Failed to fetch", "error sending request")

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_REGION": "us-east-1",
}


class S3Server:
    """Runs within the block; `make_bucket` gives a bucket."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "s3.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        script = Path(__file__).with_name("__main__.py")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([_python(), script, str(self.port)], stdout=log, stderr=log)
        eventually(self._answers, 120)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(self._log.read_text())
        try:
            urllib.request.urlopen(self.url, timeout=10).close()  # noqa: S310 - a server of ours
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def make_bucket(self, name: str) -> str:
        """Make a bucket, and return its name."""
        headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request"}
        request = urllib.request.Request(f"{self.url}/{name}", data=b"", method="PUT", headers=headers)  # noqa: S310 - ours
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - as above
        return name


def _python() -> Path:
    """Return the interpreter of the server's environment, which is made first when it is not there."""
    digest = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:8]
    folder = default_cache() / f"s3-server-{digest}"
    if not (folder / "whole").exists():
        _make(folder)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    """Make the environment in its place, whose path it knows; it is whole when it says so."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, folder],
        [
            "pip",
            "install",
            "--quiet",
            "--python",
            folder / "bin" / "python",
            "--require-hashes",
            "--requirement",
            _LOCK,
        ],
    ):
        done = subprocess.run([uv, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode and any(sign in done.stderr for sign in _OFFLINE):
            pytest.skip("needs the packages of the S3 server, and their registry does not answer")
        assert done.returncode == 0, done.stderr
    (folder / "whole").touch()
