"""
The pipeline as containers: Kafka, ClickHouse and the project's image, on a network of their own.
"""

import secrets
import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from testcontainers.community.clickhouse import ClickHouseContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy, LogMessageWaitStrategy

from sandbox.audit.audit import Kafka, Sources
from sandbox.audit.clickhouse import ClickHouse
from sandbox.ports import free_port
from tests.containers.engine import Images

_SECRET: Final = "a-path-secret-of-the-tests"  # noqa: S105 - the test's own
_UP_SECONDS: Final = 120
_DATABASE: Final = "routee"
# Ports inside the containers that are published: of the pages, by program, and of callbacks.
_PAGES: Final = {"ingest": 9101, "streams": 9103, "sinks-clickhouse": 9102, "sinks-files": 9102}
_CALLBACKS: Final = 8080
_COMMANDS: Final = {
    "ingest": ["routee-ingest", "serve"],
    "streams": ["routee-streams", "worker"],
    "sinks-clickhouse": ["routee-sinks", "clickhouse"],
    "sinks-files": ["routee-sinks", "files"],
}
_VOLUMES: Final = {"streams": "/var/lib/routee/streams", "sinks-files": "/var/lib/routee/files"}


def locked_down(container: DockerContainer) -> DockerContainer:
    """Let a container write nowhere but to /tmp and its volumes, and give it no capability; as compose.yaml does."""
    return container.with_tmpfs_mount("/tmp").with_kwargs(  # noqa: S108 - the container's
        read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges:true"]
    )


class Stack:
    """
    Everything that compose.yaml has, as a context manager; inside the block callbacks can be posted.

    `programs` are the four containers by name; each answers on the same port of this machine after `replace`, and
    finds its volume again.
    """

    def __init__(self, image: str, images: Images) -> None:
        self._image = image
        self._images = images
        self._network = Network()
        self._kafka_port = free_port()
        self._callbacks_port = free_port()
        self._ports = {name: free_port() for name in _PAGES}
        self._volume_prefix = f"routee-test-{secrets.token_hex(4)}"
        self._password = secrets.token_hex(8)
        self._clickhouse = ClickHouseContainer(
            images.clickhouse, username="routee", password=self._password, dbname=_DATABASE
        )
        self._open = ExitStack()
        self.programs: dict[str, DockerContainer] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self._network)
            opened.callback(self._remove_volumes)
            opened.enter_context(self._kafka())
            self._clickhouse.with_network(self._network).with_network_aliases("clickhouse")
            opened.enter_context(self._clickhouse)
            opened.callback(self._stop_programs)
            for command in (["routee-streams", "topics"], ["routee-sinks", "schema"]):
                assert self.run(command) == 0, f"{command} failed"
            for name in _COMMANDS:
                self._start(name)
            for name in _COMMANDS:
                self._wait(name)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def callback_url(self) -> str:
        """Return the address that Routee would be given."""
        return f"http://127.0.0.1:{self._callbacks_port}/callbacks/{_SECRET}"

    def url(self, name: str) -> str:
        """Return where the pages of a program are, seen from this machine."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def sources(self, *, counted_whole: bool = True) -> Sources:
        """Return where the audit looks; the programs' counters only if they counted the whole run."""
        host, port = self._clickhouse.get_container_host_ip(), self._clickhouse.get_exposed_port(8123)
        pages = [f"{self.url(name)}/metrics" if counted_whole else None for name in ("ingest", "streams")]
        clickhouse = ClickHouse(f"http://{host}:{port}", "routee", _DATABASE, self._password)
        return Sources(clickhouse, Kafka(f"127.0.0.1:{self._kafka_port}"), *pages)

    def run(self, command: list[str]) -> int:
        """Run a command of the image to its end, and return its exit code."""
        container = self._program().with_command(command)
        for name in _VOLUMES:
            self._mount(container, name)
        with container:
            code = container.wait()
            if code:
                sys.stderr.write(container.get_logs()[1].decode(errors="replace"))
        return code

    def replace(self, name: str) -> int:
        """
        Start a new container of a program, in place of the one there is; return the exit code of the old one.

        The old one is asked to stop by SIGTERM, and killed only after 30 s (its exit code is then 137).
        """
        code = self._stop(name)
        self._start(name)
        self._wait(name)
        return code

    def _start(self, name: str) -> None:
        container = self._program().with_command(_COMMANDS[name]).with_bind_ports(_PAGES[name], self._ports[name])
        if name == "ingest":
            container.with_bind_ports(_CALLBACKS, self._callbacks_port)
        if name in _VOLUMES:
            self._mount(container, name)
        self.programs[name] = container
        container.start()

    def _wait(self, name: str) -> None:
        HealthcheckWaitStrategy().with_startup_timeout(_UP_SECONDS).wait_until_ready(self.programs[name])

    def _mount(self, container: DockerContainer, name: str) -> None:
        container.with_volume_mapping(f"{self._volume_prefix}-{name}", _VOLUMES[name], "rw")

    def _stop(self, name: str) -> int:
        container = self.programs.pop(name, None)
        if container is None:
            return 0
        container.get_wrapped_container().stop(timeout=30)
        code = container.wait()
        container.stop()
        return code

    def _program(self) -> DockerContainer:
        container = DockerContainer(self._image).with_network(self._network)
        return locked_down(container).with_envs(
            KAFKA_BOOTSTRAP_SERVERS="kafka:9092",
            CLICKHOUSE_URL="http://clickhouse:8123",
            CLICKHOUSE_USER="routee",
            CLICKHOUSE_PASSWORD=self._password,
            INGEST_SECRETS=_SECRET,
            STREAMS_READ_TOKENS=f"tests:{secrets.token_hex(16)}:full",
            STREAMS_WORKER_TOKEN=secrets.token_hex(16),
            SINKS_REFUSED_BODIES="keep",  # the audit compares bodies with the sent ones
        )

    def _kafka(self) -> DockerContainer:
        # One listener for the containers, one for the audit, which reads the topics from this machine.
        listeners = {"PLAINTEXT": "kafka:9092", "AUDIT": f"127.0.0.1:{self._kafka_port}"}
        return (
            DockerContainer(self._images.kafka)
            .with_network(self._network)
            .with_network_aliases("kafka")
            .with_bind_ports(9094, self._kafka_port)
            .with_envs(
                CLUSTER_ID="cm91dGVlLWNhbGxiYWNrcw",
                KAFKA_NODE_ID="1",
                KAFKA_PROCESS_ROLES="broker,controller",
                KAFKA_LISTENERS="PLAINTEXT://:9092,AUDIT://:9094,CONTROLLER://:9093",
                KAFKA_ADVERTISED_LISTENERS=",".join(f"{name}://{at}" for name, at in listeners.items()),
                KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,AUDIT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                KAFKA_INTER_BROKER_LISTENER_NAME="PLAINTEXT",
                KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
                KAFKA_CONTROLLER_QUORUM_VOTERS="1@kafka:9093",
                KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
                KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
                KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
                KAFKA_HEAP_OPTS="-Xms256m -Xmx512m",
            )
            .waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(_UP_SECONDS))
        )

    def _stop_programs(self) -> None:
        for container in self.programs.values():
            container.stop()

    def _remove_volumes(self) -> None:
        client = self._clickhouse.get_docker_client().client
        for name in _VOLUMES:
            for volume in client.volumes.list(filters={"name": f"{self._volume_prefix}-{name}"}):
                volume.remove(force=True)
