"""
A bare system takes two things from this machine: the addresses of packages, and the authorities to trust.

No file here names any of them.
"""

import os
import platform
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

PASSED_ON: Final = re.compile(
    r"CI"
    r"|(HTTP|HTTPS|ALL|NO)_PROXY"
    r"|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|PROXY|DEFAULT_TIMEOUT)"
    r"|UV_(INDEX|DEFAULT_INDEX|INDEX_URL|EXTRA_INDEX_URL|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|HTTP_TIMEOUT|INDEX_\w+)",
    re.IGNORECASE,
)
"""Variables that say how registries are reached. Others, such as a cache folder, name things of this machine."""

_TRUST: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM_FILES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/resolv.conf", "/etc/pip.conf", "/etc/uv/uv.toml")
_HOME_FILES: Final = (
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    ".config/uv/uv.toml",
    ".netrc",
    ".config/jgo.conf",
    ".jgorc",
)
_NEEDED: Final = ("setpriv", "unshare", "chroot", "git")


class CannotRunError(Exception):
    """Bare systems cannot be made here; the text says why, and what would help."""


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return those variables that say how registries are reached."""
    return {name: value for name, value in given.items() if PASSED_ON.fullmatch(name)}


def files(given: Mapping[str, str], home: Path) -> list[tuple[Path, Path]]:
    """Return the files that say the same: where each is, and where it belongs, relative to / or to the home folder."""
    trusted = [Path(given[name]) for name in _TRUST if given.get(name)]
    system = [(file, file) for file in [*map(Path, _SYSTEM_FILES), *trusted]]
    own = [(home / name, Path(name)) for name in _HOME_FILES]
    return [(file, place) for file, place in [*system, *own] if file.is_file()]


def mirror(targets: Iterable[str], codename: str) -> str | None:
    """Return the archive of this Debian itself among apt's sources, lines `release|component|address`."""
    for target in targets:
        release, component, address = target.strip().split("|")
        if component == "main" and release in {codename, "stable", "testing", "unstable", "sid"}:
            return address.rstrip("/")
    return None


def require(*, install: bool) -> str:
    """Return the archive to make systems from. Raises CannotRunError when this machine does not allow it."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise CannotRunError("it needs Linux and root: debootstrap and chroot do")
    if missing := [name for name in _NEEDED if shutil.which(name) is None]:
        raise CannotRunError(f"it needs {', '.join(missing)}")
    if shutil.which("apt-get") is None:
        raise CannotRunError("it takes the address of Debian's packages from apt, which this system does not have")
    require_namespaces()
    address = _mirror()
    _require_debootstrap(install=install)
    return address


def require_suite(address: str, suite: str) -> None:
    """Raise CannotRunError when the archive does not answer, or has no such Debian."""
    try:
        urllib.request.urlopen(f"{address}/dists/{suite}/InRelease", timeout=30).close()  # noqa: S310 - apt's own address
    except urllib.error.URLError as error:
        raise CannotRunError(f"apt's archive does not give {suite}: {error}") from error


def _mirror() -> str:
    if os.environ.get("FRESH_MIRROR"):
        return os.environ["FRESH_MIRROR"].rstrip("/")
    form = "$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
    listed = _output("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
    system = platform.freedesktop_os_release()
    address = mirror(listed, system.get("VERSION_CODENAME", "")) if system.get("ID") == "debian" else None
    if address is None:
        raise CannotRunError("apt's sources name no archive of Debian; name one in FRESH_MIRROR")
    return address


def require_namespaces() -> None:
    """Raise CannotRunError when processes may not have mounts and numbers of their own."""
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise CannotRunError(f"mounts of its own are not allowed here: {tried.stderr.strip()}")


def _require_debootstrap(*, install: bool) -> None:
    if shutil.which("debootstrap") is None and install:
        for command in (
            ["update"],
            ["install", "--yes", "--no-install-recommends", "debootstrap", "debian-archive-keyring"],
        ):
            subprocess.run(["apt-get", "--quiet", *command], capture_output=True, check=False, timeout=300)
    if shutil.which("debootstrap") is None:
        raise CannotRunError("it needs debootstrap: apt install debootstrap debian-archive-keyring")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
