"""
The folder of a broker as Kafka's storage tool makes it before the first start, without a Java of its own for that.

Two small files are in it. One names the cluster and the broker. The other has the features of this version of Kafka,
the same for every broker, and is kept once the tool has made it.
"""

import os
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final

_FEATURES: Final = "bootstrap.checkpoint"
_NAMES: Final = "meta.properties"


def random_id() -> str:
    """Return a random id in Kafka's form: 16 bytes in base64. One with a dash in front would be taken for an option."""
    return "k" + urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22]


def is_formatted(folder: Path) -> bool:
    """Return whether a broker can start in the folder."""
    return (folder / _NAMES).exists()


def format_as_before(folder: Path, cluster_id: str, node: int, kept: Path) -> bool:
    """Format the folder with the features kept in another one; return False when that one has none."""
    features = _kept_in(kept)
    if features is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / _FEATURES, features)
    names = {"version": "1", "cluster.id": cluster_id, "directory.id": random_id(), "node.id": str(node)}
    # Last: it says that the folder is whole.
    _write(folder / _NAMES, "".join(f"{name}={value}\n" for name, value in names.items()).encode())
    return True


def keep(folder: Path, kept: Path) -> None:
    """Keep what the next folder needs of a folder that the tool has formatted; OSError when that cannot be written."""
    content = (folder / _FEATURES).read_bytes()
    _write(kept / f"{_FEATURES}-{sha256(content).hexdigest()}", content)


def _kept_in(kept: Path) -> bytes | None:
    """Return the features that were kept; None without any, or when the file has other bytes than were written."""
    for file in kept.glob(f"{_FEATURES}-*"):
        content = file.read_bytes()
        if file.name == f"{_FEATURES}-{sha256(content).hexdigest()}":
            return content
    return None


def _write(file: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all: several sandboxes may do so at once, and any may be killed."""
    draft = file.with_name(f".{secrets.token_hex(4)}")
    with draft.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    draft.rename(file)
