"""
The object store of SINKS_FILES_ROOT: opened, and tried before a start.
"""

import os
from collections.abc import Iterator
from errno import EAGAIN
from pathlib import Path
from typing import Final

from sinks.errors import FatalError
from streams.program.objects import ObjectPath, Place, UnusableStoreError, open_place

_OTHER_TAG: Final = f'"{"0" * 32}"'

TRIES: Final = 10
"""How often an object that another process keeps changing is read again, before `changed_meanwhile` is raised."""


def open_root(root: Path | str) -> Place:
    """Return the folder of a path as it is, and that of an address. FatalError without the library for it."""
    try:
        return open_place(root)
    except UnusableStoreError as error:
        raise FatalError(f"SINKS_FILES_ROOT={root}: {error}") from error


def changed_meanwhile(place: Place) -> OSError:
    """Return the error of an object that another process has written since it was read."""
    return OSError(EAGAIN, "another process has written it meanwhile", str(place))


def bucket_problems(address: str) -> Iterator[str]:
    """
    Yield why files cannot be kept below an address: tried with an object of its own, which is deleted.

    A store that takes no notice of the condition of a write is refused: two processes would write the same records.
    """
    try:
        root = open_root(address)
        probe = root / f".check-{os.urandom(8).hex()}"
        if not isinstance(probe, ObjectPath):
            return
        try:
            # The first answer may be lost, and the try after it told that the object is there.
            probe.create(b"1")
            if probe.create(b"2") or probe.put_if({"e_tag": _OTHER_TAG}, b"3"):
                yield f"SINKS_FILES_ROOT={address}: the store has no conditional writes: records would be written twice"
            # The answer to this one may be lost, too: then its content is there.
            elif not probe.swap(b"1", b"2") and probe.read_bytes() != b"2":
                yield f"SINKS_FILES_ROOT={address}: the store refuses a write on its own tag: nothing is erased"
        finally:
            probe.unlink()
        next(root.glob("*"), None)
    except FatalError as error:
        yield str(error)
    except OSError as error:
        yield f"SINKS_FILES_ROOT={address}: {error.strerror}"
