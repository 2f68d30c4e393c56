"""
`python -m sandbox.class_cache` makes the cache with which Kafka starts in two thirds of its processor time.

The Java of the wheel comes without an archive of its own classes, so every start reads and checks thousands of them
anew. The tests start Kafka often, so `make test` makes the cache. It lies in the environment of this Python, 65 MB, and
goes with it. Java starts without it if it does not fit Java's version, its options or the jars.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxError
from sandbox.kafka import CLASS_CACHE, KafkaCluster
from sandbox.ports import free_port

_WRITE_SECONDS: Final = 600.0


def make_class_cache(cache: Path = CLASS_CACHE) -> None:
    """
    Start a broker and stop it, and keep the classes that it has loaded; a cache that is there is replaced.

    Raises StartError; FileNotFoundError when Java has written none.
    """
    with tempfile.TemporaryDirectory(prefix=".kafka-aot-", dir=cache.parent) as folder:
        written = Path(folder) / "written"
        cluster = KafkaCluster(Path(folder) / "kafka", free_port(), java=[f"-XX:AOTCacheOutput={written}"])
        cluster.start()
        cluster.stop(_WRITE_SECONDS)  # it writes at its end
        written.rename(cache)


if __name__ == "__main__":
    try:
        make_class_cache()
    except (OSError, SandboxError) as error:
        sys.exit(f"no cache of Kafka's classes, without which it starts more slowly: {error}")
