"""
A folder in an object store, `s3://bucket/prefix`, with those methods of `Path` that files need, and some of its own.

`create` writes an object unless there is one of that name, `swap` one that is as it was read: the store decides, so
processes on any machines need no lock. An object appears whole, and is there for each reader at once. Errors are those
of the file system: OSError, of which FileNotFoundError is one.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from errno import EIO, ENOENT
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from obstore import ListResult, ObjectMeta
    from obstore.store import ObjectStore, S3Store

# The sink itself goes on trying, and names the fault meanwhile.
_RETRIES: Final = 4
_RETRY_SECONDS: Final = 20
_CONNECT_SECONDS: Final = 5
_REQUEST_SECONDS: Final = 60
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_WHY: Final = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "these credentials have no permission",
    "InvalidAccessKeyId": "the credentials are refused",
    "SignatureDoesNotMatch": "the credentials are refused",
    "ExpiredToken": "the credentials are refused",
    "InvalidToken": "the credentials are refused",
}
BUCKET_FORM: Final = "s3://bucket/prefix, the bucket of 3 to 63 small letters, digits, . and -"
"""The addresses that `is_bucket` takes, for people."""

# The names of S3; a prefix without gaps and without signs to be escaped.
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)*/?")
_AT_ONCE: Final = 1000
"""Objects that a request deletes, at most."""

_MISSING: Final = "object stores need the package obstore: install routee-callbacks[s3]"


class UnusableStoreError(Exception):
    """An object store cannot be used; one line for people."""


def is_address(told: Path | str) -> bool:
    """Return whether this is no path, but an address."""
    return "://" in str(told)


def is_bucket(address: str) -> bool:
    """Return whether this is the address of a bucket, with or without a prefix."""
    return _BUCKET.fullmatch(address) is not None


def open_place(root: Path | str) -> "Place":
    """Return the folder of a path as it is, and that of an address. UnusableStoreError without the library for it."""
    return root if isinstance(root, Path) else ObjectPath(root, _store_of(root), "")


def _store_of(address: str) -> "S3Store":
    """Return the connection; credentials, region and endpoint are those of the environment (AWS_…)."""
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
        from obstore.store import S3Store  # noqa: PLC0415
    except ImportError as error:
        raise UnusableStoreError(_MISSING) from error
    bucket, _, prefix = address.removeprefix("s3://").rstrip("/").partition("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            conditional_put="etag",
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                "timeout": timedelta(seconds=_REQUEST_SECONDS),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        )
    except BaseError as error:
        raise UnusableStoreError(_first_line(error)) from None


class ObjectPath:
    """An object, or a folder of objects: a part of their names up to a slash."""

    __slots__ = ("_key", "_root", "_store")

    def __init__(self, root: str, store: "ObjectStore", key: str) -> None:
        self._root = root.rstrip("/")
        self._store = store
        self._key = key

    def __str__(self) -> str:
        return f"{self._root}/{self._key}" if self._key else self._root

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and str(self) == str(other)

    def __truediv__(self, name: str) -> "ObjectPath":
        return self._at(f"{self._key}/{name}" if self._key else name)

    def _at(self, key: str) -> "ObjectPath":
        return ObjectPath(self._root, self._store, key)

    @property
    def name(self) -> str:
        """Return the last part."""
        return self._key.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPath":
        """Return the folder."""
        return self._at(self._key.rpartition("/")[0])

    def read_bytes(self) -> bytes:
        """Return the content. FileNotFoundError when there is no such object."""
        return self._read()[0]

    def read_text(self) -> str:
        """Return the content as text."""
        return self.read_bytes().decode()

    def _read(self) -> tuple[bytes, str | None]:
        import obstore  # noqa: PLC0415 - an extra

        with self._told():
            found = obstore.get(self._store, self._key)
            return bytes(found.bytes()), found.meta["e_tag"]

    def is_file(self) -> bool:
        """Return whether there is such an object."""
        import obstore  # noqa: PLC0415 - an extra

        try:
            with self._told():
                obstore.head(self._store, self._key)
        except FileNotFoundError:
            return False
        return True

    exists = is_file

    def is_dir(self) -> bool:
        """Return whether there are objects below."""
        return next(self._keys(), None) is not None

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Yield the objects and the folders directly below."""
        found = self._listed()
        yield from map(self._at, [*found["common_prefixes"], *(one["path"] for one in found["objects"])])

    def stamps(self) -> dict[str, tuple[int, int, int]]:
        """Return the names of the objects directly below, each with what changes when it is written anew."""
        return {
            PurePosixPath(one["path"]).name: (
                one["size"],
                int(one["last_modified"].timestamp() * 1e9),
                hash(one["e_tag"]),
            )
            for one in self._listed()["objects"]
        }

    def _listed(self) -> "ListResult[Sequence[ObjectMeta]]":
        import obstore  # noqa: PLC0415 - an extra

        with self._told():
            return obstore.list_with_delimiter(self._store, self._key or None)

    def below_from(self, name: str) -> Iterator["ObjectPath"]:
        """Yield all objects below that come from a name of a folder on, in their order: a request for a thousand."""
        yield from map(self._at, self._keys(f"{self._key}/{name}" if self._key else name))

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Yield what fits a pattern of names: of objects, or of folders when it ends with a slash."""
        folder, slash, name = pattern.rpartition("/")
        if not slash:
            yield from (one for one in self.iterdir() if fnmatchcase(one.name, pattern))
        elif not name:
            found = map(self._at, self._listed()["common_prefixes"])
            yield from (one for one in found if fnmatchcase(one.name, folder))
        else:
            # On texts: a table may have a million objects.
            fits = re.compile(f"{self._inside}{_one_part(folder)}/{_one_part(name)}").fullmatch
            yield from (self._at(key) for key in self._keys() if fits(key))

    @property
    def _inside(self) -> str:
        """Return how the keys of the folder begin, as a pattern."""
        return re.escape(f"{self._key}/") if self._key else ""

    def _keys(self, after: str | None = None) -> Iterator[str]:
        import obstore  # noqa: PLC0415 - an extra

        with self._told():
            for chunk in obstore.list(self._store, self._key or None, offset=after, chunk_size=_AT_ONCE):
                yield from (one["path"] for one in chunk)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Delete the object; the store does not tell whether there was one."""
        import obstore  # noqa: PLC0415 - an extra

        del missing_ok
        with self._told():
            obstore.delete(self._store, self._key)

    def unlink_all(self, names: Iterable[str]) -> None:
        """Delete objects directly below, a thousand a request."""
        import obstore  # noqa: PLC0415 - an extra

        left = iter([f"{self._key}/{name}" if self._key else name for name in names])
        with self._told():
            while some := list(islice(left, _AT_ONCE)):
                obstore.delete(self._store, some)

    def write_bytes(self, content: bytes) -> None:
        """Write the object, whole; it replaces one of that name."""
        import obstore  # noqa: PLC0415 - an extra

        with self._told():
            obstore.put(self._store, self._key, content, use_multipart=False)

    def create(self, content: bytes) -> bool:
        """
        Write the object unless there is one of that name, and return whether it was written now.

        False may also mean that an earlier try of this call wrote it, and its answer was lost.
        """
        return self.put_if("create", content)

    def swap(self, before: bytes | None, content: bytes) -> bool:
        """Write the object if its content is `before`, None for no object; return whether it was written now."""
        if before is None:
            return self.create(content)
        try:
            found, tag = self._read()
        except FileNotFoundError:
            return False
        return found == before and self.put_if({"e_tag": tag}, content)

    def put_if(self, mode: Any, content: bytes) -> bool:  # noqa: ANN401 - a type that obstore has for checkers alone
        """Write the object if there is none (`create`), or if it has an `e_tag`; return whether it was written now."""
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415

        with self._told():
            try:
                obstore.put(self._store, self._key, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise what the library raises as errors of the file system, in one line and without its debugging text."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            code = _CODE.search(str(error))
            why = _WHY.get(code[1]) if code else None
            # A missing bucket is no missing file: a sink would take its folder for empty, and begin anew.
            if isinstance(error, FileNotFoundError) and why is None:
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(self)) from None
            said = f"{why or 'the store answers'} ({code[1]})" if code else _first_line(error)
            raise OSError(EIO, said, str(self)) from None


def _one_part(pattern: str) -> str:
    """Return a pattern of names as one of texts, for a part between two slashes."""
    return "".join("[^/]*" if one == "*" else re.escape(one) for one in pattern)


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0]
    return f"{line[:297]}..." if len(line) > 300 else line  # noqa: PLR2004 - a line that a person can read


Place = Path | ObjectPath
"""A folder or a file, on a disk or in an object store."""

AnyPlace = TypeVar("AnyPlace", bound=Place)


def glob(folder: AnyPlace, pattern: str) -> Iterator[AnyPlace]:
    """Yield what fits a pattern, of the same kind as the folder."""
    return cast("Iterator[AnyPlace]", iter(folder.glob(pattern)))


def at(folder: AnyPlace, name: str) -> AnyPlace:
    """Return a place in a folder, of the same kind."""
    return cast("AnyPlace", folder / name)


def below(root: Place, place: Place) -> str:
    """Return the path of a place below the root, for people."""
    return str(place).removeprefix(f"{root}/")
