"""
Files and folders that appear whole and survive a crash of the machine.
"""

import os
from pathlib import Path

from sinks.files.layout import draft_name
from sinks.files.objects import TRIES, changed_meanwhile
from streams.program.objects import ObjectPath, Place


def make_folder(folder: Path) -> None:
    """Make a folder, durably, unless it is there."""
    if not folder.is_dir():
        folder.mkdir()
        sync(folder.parent)


def publish(folder: Place, name: str, content: bytes) -> None:
    """Make a file appear, whole and durable; it replaces one of that name. A write that fails leaves no draft."""
    if isinstance(folder, ObjectPath):
        (folder / name).write_bytes(content)
        return
    draft = folder / draft_name(name)
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # Drafts must not fill a full disk.
        draft.unlink(missing_ok=True)
        raise
    draft.rename(folder / name)
    sync(folder)


def replace(file: Place, before: bytes | None, content: bytes) -> None:
    """
    Publish a file that was read as `before`, None for one that was not there.

    The caller holds the lock under which it was read. In an object store, which has none, OSError when it is another
    one by now.
    """
    if isinstance(file, Path):
        publish(file.parent, file.name, content)
    elif not file.swap(before, content):
        raise changed_meanwhile(file)


def append(file: Place, content: bytes) -> None:
    """
    Add to a file, durably.

    In an object store, OSError when other processes write it again and again meanwhile.
    """
    if isinstance(file, ObjectPath):
        for _ in range(TRIES):
            before = read_if_there(file)
            if file.swap(before, (before or b"") + content):
                return
        raise changed_meanwhile(file)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_if_there(file: Place) -> bytes | None:
    """Return the content of a file, None when there is none."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
