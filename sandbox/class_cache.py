"""
`python -m sandbox.class_cache` makes the cache with which Kafka starts in two thirds of its processor time.

The Java of the wheel comes without an archive of its own classes, so every start reads and checks thousands of them
anew. The tests start Kafka often, so `make test` makes the cache. It lies in the environment of this Python, 68 MB, and
goes with it. Java starts without it if it does not fit Java's version, its options or the jars.
"""

import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from sandbox.errors import SandboxError
from sandbox.kafka import CLASS_CACHE, KafkaCluster
from sandbox.ports import free_port

_WRITE_SECONDS: Final = 600.0
_USE_SECONDS: Final = 60
_TOPIC: Final = "use"


def make_class_cache(cache: Path = CLASS_CACHE) -> None:
    """
    Start a broker and stop it, and keep the classes that it has loaded; a cache that is there is replaced.

    Raises StartError; FileNotFoundError when Java has written none.
    """
    with tempfile.TemporaryDirectory(prefix=".kafka-aot-", dir=cache.parent) as folder:
        written = Path(folder) / "written"
        cluster = KafkaCluster(Path(folder) / "kafka", free_port(), java=[f"-XX:AOTCacheOutput={written}"])
        cluster.start()
        _use(cluster.bootstrap_servers)
        cluster.stop(_WRITE_SECONDS)  # it writes at its end
        written.rename(cache)


def _use(servers: str) -> None:
    """Have a broker do what its clients will ask of it: topics, a transaction, a group; each has classes of its own."""
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        admin.create_topics({_TOPIC: {"num_partitions": 1, "replication_factor": -1}})
        admin.wait_for_topics([_TOPIC])
        with closing(KafkaProducer(bootstrap_servers=servers, transactional_id=_TOPIC)) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(_TOPIC, b"record").get(_USE_SECONDS)
            producer.commit_transaction()
        options = {"group_id": _TOPIC, "auto_offset_reset": "earliest", "isolation_level": "read_committed"}
        with closing(KafkaConsumer(_TOPIC, bootstrap_servers=servers, **options)) as consumer:
            consumer.poll(_USE_SECONDS * 1000)
            consumer.commit()
        admin.delete_topics([_TOPIC])


if __name__ == "__main__":
    try:
        make_class_cache()
    except (OSError, SandboxError, KafkaError) as error:
        sys.exit(f"no cache of Kafka's classes, without which it starts more slowly: {error}")
