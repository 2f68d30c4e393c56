"""
Files and folders that appear whole and survive a crash of the machine.
"""

import os
from pathlib import Path

from sinks.files.layout import draft_name


def make_folder(folder: Path) -> None:
    """Make a folder, durably, unless it is there."""
    if not folder.is_dir():
        folder.mkdir()
        sync(folder.parent)


def publish(folder: Path, name: str, content: bytes) -> None:
    """Make a file appear, whole and durable; it replaces one of that name. A write that fails leaves no draft."""
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


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
