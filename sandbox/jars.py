"""
The jars of Kafka: fetched once per user from Maven's central repository, checked, and kept in a cache folder.

`kafka-jars.lock` names every jar with its SHA-256, as `requirements.lock` does for the wheels.
`python -m sandbox.jars` prints that file anew for the version named here, and that of other roots when it is given any.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.disk import Place
from sandbox.errors import JarsError

KAFKA_VERSION: Final = "4.2.2"
# The roots of the lock: the broker, and the plainest logger for it.
_ROOTS: Final = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
_LOCK: Final = Path(__file__).with_name("kafka-jars.lock")
JARS_MB: Final = 45
"""Size of the fetched jars, in megabytes."""

_ATTEMPTS: Final = 3
_DOWNLOADS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: Maven coordinates and the digest of the file they stand for."""

    coordinates: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the jar's name in the folder, `artifact-version.jar`."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"

    def __str__(self) -> str:
        return f"{self.coordinates} sha256:{self.sha256}"


def locked_jars(lock: Path = _LOCK) -> list[Jar]:
    """Return what the lock names."""
    pairs = (line.split(" sha256:") for line in lock.read_text().splitlines())
    return [Jar(coordinates, sha256) for coordinates, sha256 in pairs]


def default_cache() -> Path:
    """Return the folder shared by all runs of this user, where the XDG rules put it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "routee-callbacks"


def jars_are_there(cache: Path | None = None, lock: Path = _LOCK) -> bool:
    """Return whether `jars_folder` has nothing to fetch."""
    return _whole(_folder(cache, lock), locked_jars(lock))


def jars_folder(cache: Path | None = None, lock: Path = _LOCK) -> Path:
    """
    Return a folder with every locked jar in it, and fetch them first when they are not there.

    The folder appears whole, by a rename, so two processes may fill the cache at once and an interrupted one
    leaves nothing that could be taken for whole. Raises JarsError when a jar can not be had, DiskFullError.
    """
    jars = locked_jars(lock)
    folder = _folder(cache, lock)
    if not _whole(folder, jars):
        with Place(folder, f"the cache {folder.parent}", "XDG_CACHE_HOME").watched():
            _fill(folder, jars)
    return folder


def _folder(cache: Path | None, lock: Path) -> Path:
    # Named by its content: after a change of the lock, an older folder is never taken for the new one.
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:8]
    return (cache or default_cache()) / f"kafka-{KAFKA_VERSION}-{digest}"


def _whole(folder: Path, jars: list[Jar]) -> bool:
    return all((folder / jar.file_name).is_file() for jar in jars)


def _fill(folder: Path, jars: list[Jar]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
        filled = Path(scratch, "jars")
        filled.mkdir()
        _fetch_all(jars, filled, Path(scratch, "repository"))
        if folder.exists() and not _whole(folder, jars):  # a part of the cache was deleted
            folder.rename(Path(scratch, "broken"))
        try:
            filled.rename(folder)
        except OSError:
            if not _whole(folder, jars):  # else another process was quicker, with the same jars
                raise


def _fetch_all(jars: list[Jar], folder: Path, repository: Path) -> None:
    context = _maven(repository)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as downloads:
        for jar, file in zip(jars, downloads.map(lambda jar: _fetch(context, jar), jars), strict=True):
            shutil.move(file, folder / jar.file_name)


def _maven(repository: Path) -> Any:  # noqa: ANN401 - jgo has no types of its own to offer here
    # Imported late: it costs a third of a second, and only the first run of a user needs it.
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    # A mirror is named where jgo's own users name theirs, in its settings file.
    remotes = GlobalSettings.load().repositories | {"central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=repository, remote_repos=remotes, timeout=30)


def _fetch(context: Any, jar: Jar) -> Path:  # noqa: ANN401 - as above
    file = _download(context, jar)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != jar.sha256:
        raise JarsError(f"{jar.coordinates} has the SHA-256 {found}, the lock says {jar.sha256}")
    return file


def _download(context: Any, jar: Jar) -> Path:  # noqa: ANN401 - as above
    artifact = context.create_dependency(jar.coordinates).artifact
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return Path(artifact.resolve())
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            Path(artifact.cached_path).unlink(missing_ok=True)  # a part of it would be taken for all of it
            if attempt == _ATTEMPTS:
                raise JarsError(f"{jar.coordinates} could not be fetched from Maven's repository: {error}") from error
    raise AssertionError


def _resolve(roots: Sequence[str]) -> Iterator[Jar]:
    """Ask Maven's repository for the closure of the roots: the new content of a lock."""
    with tempfile.TemporaryDirectory() as scratch:
        context = _maven(Path(scratch))
        found, followed = context.resolver.resolve([context.create_dependency(root) for root in roots])
        for dependency in [*found, *(one for one in followed if one.scope in {"compile", "runtime"})]:
            artifact = dependency.artifact
            digest = hashlib.sha256(Path(artifact.resolve()).read_bytes()).hexdigest()
            yield Jar(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}", digest)


if __name__ == "__main__":
    print("\n".join(sorted(map(str, _resolve(sys.argv[1:] or _ROOTS)))))  # noqa: T201 - it is the command's result
